"""What the recipes of methods share: a method is a few rules over a base recipe."""

from __future__ import annotations

from collections.abc import Mapping

from .._recipe import Recipe, recipe
from .._rules import Rule

ENCODER = r"re:(.*\.)?encoder\..*"
DECODER = r"re:(.*\.)?decoder\..*"
INPUT_BIAS = r"re:(.*\.)?bias_ih(_l\d+(_reverse)?)?"  # one of a recurrent layer's two biases, which are summed
RECURRENT = r"re:(.*\.)?weight_hh(_l\d+(_reverse)?)?"


def over(base: str | Recipe, *rules: Rule, **knobs: float | None) -> Recipe:
    """The rules over a base recipe; knobs that are None are left to the model's structure."""
    said: Mapping[str, float] = {name: value for name, value in knobs.items() if value is not None}
    made = recipe(base)
    return Recipe((*made.rules, *rules), knobs={**dict(made.knobs), **said}, roles=dict(made.roles))
