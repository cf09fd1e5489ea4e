"""Audit: what is wrong with a model's initial state. ``measure/`` looks, ``findings/`` judges, ``report.py`` holds, ``render/`` shows."""
