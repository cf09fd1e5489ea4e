"""Sharded tensors: which elements of the whole tensor a rank holds. ``placed.py`` first."""
