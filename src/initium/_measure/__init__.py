"""Measure: what is in a model, a plan or a file, and whether two are the same. Only reads."""
