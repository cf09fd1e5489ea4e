"""Capture: a constructor -> a plan of what it does itself. ``run.py`` first; ``mode.py`` is the recorder, ``build.py`` the way back to a model."""
