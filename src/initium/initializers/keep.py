"""Keep, Reset, ClassDefault: leave a tensor as its constructor left it, or as its module's class sets it."""

from __future__ import annotations

from dataclasses import dataclass

from ._base import Initializer


@dataclass(frozen=True)
class Keep(Initializer):
    """Claim a tensor and leave it as it is: loaded, or as constructed. The plan says so, and that the seed does not fix it.

    Example:
        >>> str(Keep())
        'keep'
    """

    name = "keep"


@dataclass(frozen=True)
class Reset(Initializer):
    """The constant that the tensor's module sets itself (norm weights 1, running means 0, …); kept where it sets none.

    Example:
        >>> str(Reset())
        'reset'
    """

    name = "reset"


@dataclass(frozen=True)
class ClassDefault(Initializer):
    """What the tensor's own module class does to it: torch's ``reset_parameters``, with torch's fans; kept where unknown.

    Example:
        >>> str(ClassDefault())
        'class_default'
    """

    name = "class_default"


def asks_the_class(initializer: Initializer) -> bool:
    """Whether what a tensor gets from it depends on its module, beyond shape and layout."""
    return isinstance(initializer, ClassDefault) or any(asks_the_class(held) for held in initializer.held())
