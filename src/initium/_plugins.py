"""Entry points: packages that bring initializers, recipes and module layouts of their own."""

from __future__ import annotations

import functools
import warnings
from importlib.metadata import EntryPoint, entry_points


@functools.lru_cache(maxsize=8)
def load(group: str) -> dict[str, object]:
    """Load every entry point of the group once; importing them registers what they define.

    One that cannot be loaded is left out with a warning: a broken package is no reason that the others, and ours, do not work.
    """
    found: dict[str, object] = {}
    for point in entry_points(group=group):
        try:
            found[point.name] = point.load()
        except Exception as error:  # whatever a package raises when it is imported
            leave_out(group, _called(point), f"{type(error).__name__}: {error}")
    return found


def leave_out(group: str, called: str, reason: str) -> None:
    """Say that an entry point is not used, and why."""
    warnings.warn(f"initium leaves out the entry point {called} of {group!r}: {reason}", UserWarning, stacklevel=3)


def _called(point: EntryPoint) -> str:
    package = point.dist.name if point.dist is not None else "an unknown package"
    return f"{point.name!r} ({point.value}, from {package})"
