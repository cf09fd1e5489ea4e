"""Structure: blocks, depth, and the roles of weights, where a recipe asks for them. ``structure.py`` first."""
