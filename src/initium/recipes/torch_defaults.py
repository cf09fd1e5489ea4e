"""The recipe ``torch``: what each module's own class does."""

from __future__ import annotations

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import ClassDefault


@named("torch")
def torch() -> Recipe:
    """What each module's own class does in torch 2.13, with torch's fans; tensors of unknown classes are kept."""
    return Recipe([Rule("**", ClassDefault(), optional=True), Rule("**", ClassDefault(), optional=True, buffers=True)])
