"""Packed children: the layouts of a Linear or 1×1 convolution that holds several logical weights (q, k, v; gate and up).

The sizes come from the child itself, so a guess that does not fit its rows says nothing rather than something wrong.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from torch import nn

from .._fans import Layout

QKV, QK, KV, GATE_UP = ("q", "k", "v"), ("q", "k"), ("k", "v"), ("gate", "up")
NOTHING: Mapping[str, Layout] = {}


def packed(
    m: nn.Module, child: str, names: tuple[str, ...], sizes: tuple[int, ...] | None = None, repeats: int = 1
) -> Mapping[str, Layout]:
    """The layouts of ``child``'s weight and bias, whose outputs are ``names`` of ``sizes`` (equal ones where none are said).

    ``repeats`` is how often they take turns (heads that each have their own q, k and v). Nothing where ``m`` has no such
    child, or where its outputs do not add up.
    """
    owner = m
    for part in child.split("."):
        found = owner._modules.get(part)
        if found is None:
            return NOTHING
        owner = found
    ends = ends_of(owner)
    if ends is None:
        return NOTHING
    _, out, transposed = ends
    if sizes is None:
        sizes = (out // len(names),) * len(names)
    if sum(sizes) != out or repeats < 1 or any(size < 1 or size % repeats for size in sizes):
        return NOTHING
    return _weight_and_bias(f"{child}.", names, sizes, repeats, transposed)


@functools.lru_cache(maxsize=4096)
def _weight_and_bias(
    prefix: str, names: tuple[str, ...], sizes: tuple[int, ...], repeats: int, transposed: bool
) -> Mapping[str, Layout]:
    weight, bias = stacked(names, sizes, repeats, transposed)
    return {f"{prefix}weight": weight, f"{prefix}bias": bias}


@functools.lru_cache(maxsize=4096)
def stacked(
    names: tuple[str, ...], sizes: tuple[int, ...], repeats: int = 1, transposed: bool = False
) -> tuple[Layout, Layout]:
    """(weight, bias) of a linear map whose outputs are these blocks; ``transposed`` is (in, out)."""
    axis, in_axes, out_axes = (1, (0,), (1,)) if transposed else (0, (1,), (0,))
    return (
        Layout("weight", out_axes, in_axes, blocks=sizes, block_names=names, block_axis=axis, repeats=repeats),
        Layout("bias", blocks=sizes, block_names=names, repeats=repeats),
    )


def ends_of(child: nn.Module) -> tuple[int, int, bool] | None:
    """(inputs, outputs, whether the weight is (in, out)) of a Linear, an ungrouped convolution or a Conv1D, else None."""
    said = child.__dict__  # not getattr: a module that lacks the name takes 3 µs to say so
    if is_conv1d(child):
        return said["nx"], said["nf"], True
    if said.get("groups", 1) != 1 or said.get("transposed", False):
        return None
    weight = child._parameters.get("weight")
    if weight is not None and weight.dim() >= 2:
        return weight.shape[1], weight.shape[0], False
    for ends in (("in_features", "out_features"), ("in_channels", "out_channels")):  # a parametrised or a replaced weight
        inputs, outputs = (said.get(name) for name in ends)
        if isinstance(inputs, int) and isinstance(outputs, int):
            return inputs, outputs, False
    return None


def is_conv1d(m: nn.Module) -> bool:
    """Whether it is the (in, out) linear map that transformers calls Conv1D, by what that has and torch's Conv1d has not."""
    return isinstance(m.__dict__.get("nf"), int) and isinstance(m.__dict__.get("nx"), int)
