"""Recipes: what a network gets, by name. One family a file; each is a function with the few knobs it has, found by ``named``."""

from __future__ import annotations

from . import general, recurrent, residual, self_normalizing, signal, torch_defaults, transformers_depth, tutorial

__all__ = ["general", "recurrent", "residual", "self_normalizing", "signal", "torch_defaults", "transformers_depth", "tutorial"]
