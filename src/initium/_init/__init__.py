"""Behind ``initium.init``: drawing by torch's generator, and the functions by family."""
