"""What the recipes of models share: torch's own defaults below, and the laws that many libraries write the same way."""

from __future__ import annotations

from torch import nn

from .._recipe import Recipe
from .._rules import Rule
from ..initializers import ClassDefault, CutNormal, Initializer, Normal, Reset, Uniform

CONV = nn.modules.conv._ConvNd
FAN_OUT = Normal("sqrt(2 / (fan_out * groups))")
"""kaiming_normal_(mode="fan_out") as torch reads it from the shape: all outputs count, whatever the groups."""
WHOLE_XAVIER = Uniform("-sqrt(6 / (fan_in + numel / fan_in))", "sqrt(6 / (fan_in + numel / fan_in))")
"""xavier_uniform_ of a matrix as it lies there: packed q, k and v as one, a patch convolution as (out, in · field)."""

TORCH_BOUND = Uniform("-1 / sqrt(fan_in)", "1 / sqrt(fan_in)")
"""kaiming_uniform_(a=sqrt(5)), as torch's layers and convolutions start."""


def over_torch(*rules: Rule) -> Recipe:
    """The rules over what each module's class does in torch; norms of any class are reset."""
    below = [Rule("**", ClassDefault(), optional=True), Rule(role="norm", initializer=Reset(), optional=True)]
    return Recipe([*below, *rules])


def everything(weight: Initializer, embedding: Initializer, *rules: Rule) -> Recipe:
    """All maps by one law, biases 0, embeddings by another, norms reset, bare parameters kept."""
    return Recipe(
        [
            Rule("**", Reset(), optional=True),
            Rule(role="weight", initializer=weight, optional=True),
            Rule(role="bias", initializer=0, optional=True),
            Rule(role="embedding", initializer=embedding, optional=True),
            *rules,
        ]
    )


def plain(std: float, *rules: Rule) -> Recipe:
    """All maps and embeddings N(0, std²)."""
    return everything(Normal(std), Normal(std), *rules)


def mamba_like(std: float, official: bool, rescale: bool, *own: Rule) -> Recipe:
    """What Mamba and Mamba-2 share around the tensors of their own: maps, embeddings, the convolution, and out_proj as an end of a branch."""
    end = Uniform("-1 / sqrt(fan_in * depth)", "1 / sqrt(fan_in * depth)") if official or rescale else TORCH_BOUND
    return everything(
        TORCH_BOUND if official else Normal(std),
        Normal(0.02 if official else std),
        Rule("**.conv1d.weight", TORCH_BOUND, optional=True),
        *([Rule("**.conv1d.bias", Uniform("-0.5", "0.5"), optional=True)] if official else []),
        *own,
        Rule("**.out_proj.weight", end, optional=True),
    )


def cut(std: float | str) -> CutNormal:
    """torch's ``trunc_normal_(std=std)``: cut at the absolute ±2, so in effect a normal."""
    return CutNormal(std=std, a=-2.0, b=2.0)


def cut3(std: float | str) -> CutNormal:
    """``trunc_normal_`` cut at ±3 std, whose own std is then 0.98657839 of what is said."""
    return CutNormal(std=std, a=f"-3 * ({std})", b=f"3 * ({std})")
