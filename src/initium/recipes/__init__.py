"""Recipes: what a network gets, by name. One family a file; each is a function with the few knobs it has, found by ``named``."""

from __future__ import annotations

from . import general, torch_defaults, tutorial

__all__ = ["general", "torch_defaults", "tutorial"]
