"""Entry points: packages that bring initializers, recipes and module layouts of their own."""

from __future__ import annotations

import functools
from importlib.metadata import entry_points


@functools.lru_cache(maxsize=8)
def load(group: str) -> dict[str, object]:
    """Load every entry point of the group once; importing them registers what they define."""
    return {point.name: point.load() for point in entry_points(group=group)}
