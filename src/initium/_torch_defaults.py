"""What torch.nn's own classes give each of their tensors when they are constructed, as numbers.

torch takes its fans from the shape: a transposed convolution's from its outputs, packed q, k and v as one matrix. So these
are explicit numbers, which no layout touches (except that a ``padding_idx`` row stays zero, as in torch).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, cast

from torch import nn

from ._layouts.registry import layouts_of
from .initializers import Constant, Initializer, Normal, Uniform

Default = Callable[[Any, str], Initializer | None]
_ZERO = Constant(0.0)
_ADDS_A_GAIN = ("ScaledStdConv2d", "ScaledStdConv2dSame")  # timm's: their reset is torch's and a constant gain


def torch_default(m: nn.Module, name: str) -> Initializer | None:
    """What the constructor of ``m`` gives its tensor ``name``; None where torch.nn says nothing of it.

    Subclasses count as long as they leave the initialisation alone: they inherit ``reset_parameters``, and their constructor
    changes nothing in place. A dotted name asks what ``m`` does to a descendant's tensor after that has initialised itself:
    MultiheadAttention zeroes ``out_proj.bias``, Transformer draws every matrix again.

    Example:
        >>> import torch
        >>> torch_default(torch.nn.Linear(64, 10), "weight")
        Uniform(a=-0.125, b=0.125)
    """
    default = _default_of(cast(Any, type(m)))
    if default is None or ("." in name and default not in _BELOW):
        return None
    owner = m.get_submodule(name.rpartition(".")[0])
    if owner._parameters.get(name.rpartition(".")[2], name) is None:  # bias=False
        return None
    return default(m, name) or _reset(m, name)


def speaks_below(m: nn.Module) -> bool:
    """Whether ``torch_default`` of this module has something to say of its descendants' tensors."""
    return _default_of(cast(Any, type(m))) in _BELOW


@functools.cache
def _default_of(cls: type) -> Default | None:
    for base, default in _DEFAULTS.items():
        if issubclass(cls, base):
            between = cls.__mro__[: cls.__mro__.index(base)]
            return default if not any(_initialises(c) for c in between) else None
    return None


def _initialises(cls: type) -> bool:
    """Whether a subclass initialises by itself: a reset of its own, or a constructor that writes in place."""
    if cls.__module__.startswith("torch.nn.") or cls.__name__ in _ADDS_A_GAIN:
        return False
    if "reset_parameters" in cls.__dict__ or "_reset_parameters" in cls.__dict__:
        return True
    code = getattr(cls.__dict__.get("__init__"), "__code__", None)
    words = code.co_names if code is not None else ()
    return any(word in ("init", "data") or (word.endswith("_") and not word.endswith("__")) for word in words)


def _within(bound: float) -> Initializer:
    return Uniform(-bound, bound) if bound > 0 else _ZERO


def _one_over_root(fan: int) -> Initializer:
    return _within(1 / math.sqrt(fan) if fan > 0 else 0.0)


def _dense(m: nn.Linear, name: str) -> Initializer | None:
    # kaiming_uniform_(a=√5): gain √(1/3), bound √3 · gain / √fan; the bias's bound is the same by design
    if name not in ("weight", "bias"):
        return None
    if name == "bias" and isinstance(m, nn.modules.linear.NonDynamicallyQuantizableLinear):
        return _ZERO  # the out_proj of MultiheadAttention, its only use, whose constructor zeroes it
    return _one_over_root(m.in_features)


def _conv(m: nn.modules.conv._ConvNd, name: str) -> Initializer | None:
    if name not in ("weight", "bias"):
        return None
    inputs = (m.out_channels if m.transposed else m.in_channels) // m.groups  # weight.shape[1], whatever that means
    return _one_over_root(inputs * math.prod(m.kernel_size))


def _bilinear(m: nn.Bilinear, name: str) -> Initializer | None:
    return _one_over_root(m.in1_features) if name in ("weight", "bias") else None


def _recurrent(m: nn.RNNBase | nn.RNNCellBase, name: str) -> Initializer | None:
    return _one_over_root(m.hidden_size) if name.startswith(("weight_", "bias_")) else None


def _embedding(m: nn.Embedding, name: str) -> Initializer | None:
    return Normal(std=1.0) if name == "weight" else None


def _attention(m: nn.MultiheadAttention, name: str) -> Initializer | None:
    size = m.embed_dim
    if name in ("in_proj_bias", "out_proj.bias"):
        return _ZERO
    if name in ("bias_k", "bias_v"):
        return Normal(std=1 / math.sqrt(size))  # xavier_normal_ of (1, 1, embed): both fans are embed
    # xavier_uniform_: rows and columns; in_proj_weight is one (3 · embed, embed) matrix to it
    sums = {"in_proj_weight": 4 * size, "q_proj_weight": 2 * size}
    sums |= {"k_proj_weight": size + (m.kdim or size), "v_proj_weight": size + (m.vdim or size)}
    return _within(math.sqrt(6 / sums[name])) if name in sums else None


def _transformer(m: nn.Transformer, name: str) -> Initializer | None:
    # xavier_uniform_ of every matrix below, packed ones whole; biases and norms keep what their own modules gave them
    path, _, local = name.rpartition(".")
    tensor = m.get_submodule(path)._parameters.get(local)
    if tensor is None or tensor.dim() < 2:
        return None
    return _within(math.sqrt(6 / ((tensor.shape[0] + tensor.shape[1]) * math.prod(tensor.shape[2:]))))


def _reset(m: nn.Module, name: str) -> Initializer | None:
    layout = layouts_of(m).get(name)
    return None if layout is None or layout.reset is None else Constant(layout.reset)


_DEFAULTS: dict[type, Default] = {
    nn.Linear: _dense,
    nn.modules.conv._ConvNd: _conv,
    nn.Bilinear: _bilinear,
    nn.RNNBase: _recurrent,
    nn.RNNCellBase: _recurrent,
    nn.Embedding: _embedding,
    nn.EmbeddingBag: _embedding,
    nn.MultiheadAttention: _attention,
    nn.Transformer: _transformer,
    nn.modules.batchnorm._NormBase: _reset,
    nn.LayerNorm: _reset,
    nn.GroupNorm: _reset,
    nn.RMSNorm: _reset,
    nn.PReLU: _reset,
}
_BELOW: frozenset[Default | None] = frozenset({_attention, _transformer})
