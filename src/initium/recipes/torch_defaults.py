"""The recipe ``torch``: what each module's own class does."""

from __future__ import annotations

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import ClassDefault


@named("torch")
def torch() -> Recipe:
    """What each module's own class does in torch 2.13, with torch's fans; tensors of unknown classes are kept.

    Linear layers and convolutions U(±1 / √fan_in), weights and biases both; embeddings N(0, 1); attention Xavier uniform of q, k and v as one
    matrix; recurrent layers U(±1 / √hidden).

    Use when: you compare with torch's own start, or want the same laws from named streams.
    Not when: the network is deep without norms: Var w = 1 / (3 fan_in), so each ReLU layer leaves a sixth of the second moment.

    Example:
        >>> initium.plan(nn.Linear(64, 10), "torch", seed=0)["weight"].initializer
        Uniform(a=-0.125, b=0.125)

    Source: torch/nn/modules, each class's ``reset_parameters``.
    """
    return Recipe([Rule("**", ClassDefault(), optional=True), Rule("**", ClassDefault(), optional=True, buffers=True)])
