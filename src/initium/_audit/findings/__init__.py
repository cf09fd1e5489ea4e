"""One check a file. Its docstring is its page: a summary, What it does, Why it is bad, Example, Use instead, Fix safety, References.

``Example`` and ``Use instead`` are code that is run by the tests: each defines ``Model``, which ``initium.audit`` takes, and may define
``inputs``. On the first exactly this check fires, on the second none does.
"""
