"""Layouts: what the axes of a module's weights mean. ``registry.py`` first; one file a library."""
