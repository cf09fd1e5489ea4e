"""Recipes: what a network gets, by name. One family a file; each is a function with the few knobs it has, found by ``named``.

Every file here whose name has no leading underscore is loaded, so a new family is one file and its test.
"""

from __future__ import annotations

import importlib
import pkgutil

FAMILIES = tuple(sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_")))

for _family in FAMILIES:
    importlib.import_module(f".{_family}", __name__)
