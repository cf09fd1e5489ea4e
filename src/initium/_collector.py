"""Python's cycle collector, held off while a plan is captured, made and run: many thousands of small objects, few cycles among them.

It would otherwise walk the whole model and torch itself several times over, which for many small tensors takes as long as the work.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ._uncompiled import uncompiled

P = ParamSpec("P")
T = TypeVar("T")


def uncollected(function: Callable[P, T]) -> Callable[P, T]:
    """The function, run with the collector off; what was off before stays off."""

    @functools.wraps(function)
    def held_off(*args: P.args, **kwargs: P.kwargs) -> T:
        if not gc.isenabled():
            return function(*args, **kwargs)
        gc.disable()
        try:
            return function(*args, **kwargs)
        finally:
            gc.enable()

    return uncompiled(held_off)
