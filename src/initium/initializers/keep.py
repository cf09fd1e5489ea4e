"""Keep, Reset, ClassDefault: leave a tensor as its constructor left it, or as its module's class sets it."""

from __future__ import annotations

from dataclasses import dataclass

from ._base import Initializer


@dataclass(frozen=True)
class Keep(Initializer):
    """Claim a tensor and leave it as it is: loaded, or as constructed. The plan says so, and that the seed does not fix it.

    Use when: a tensor is loaded, or its constructor has set it as it should be.
    Not when: the seed is to fix the network: what is kept it does not fix.

    Example:
        >>> str(Keep())
        'keep'
    """

    name = "keep"


@dataclass(frozen=True)
class Reset(Initializer):
    """The constant that the tensor's module sets itself (norm weights 1, running means 0, …); kept where it sets none.

    Use when: norms and running statistics are to start afresh.
    Not when: a tensor's module sets no constant: then it is kept, and the plan says so.

    Example:
        >>> str(Reset())
        'reset'
    """

    name = "reset"


@dataclass(frozen=True)
class ClassDefault(Initializer):
    """What the tensor's own module class does to it: torch's ``reset_parameters``, with torch's fans; kept where unknown.

    Use when: you want torch's own law for a layer, drawn from named streams.
    Not when: the network is deep and has no norms: torch's default takes more than half of the signal at every ReLU layer.

    Example:
        >>> str(ClassDefault())
        'class_default'

    Source: torch 2.13, ``reset_parameters`` of each class of torch.nn.
    """

    name = "class_default"


def asks_the_class(initializer: Initializer) -> bool:
    """Whether what a tensor gets from it depends on its module, beyond shape and layout."""
    return isinstance(initializer, ClassDefault) or any(asks_the_class(held) for held in initializer.held())
