"""The layouts of torch.nn's modules."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from torch import nn

from ._fans import BIAS, DENSE, EMBEDDING, ONE, ZERO, Layout
from ._layouts import module

_LINEAR = {"weight": DENSE, "bias": BIAS}
_AFFINE_NORM = {"weight": ONE, "bias": ZERO}
_RUNNING = {**_AFFINE_NORM, "running_mean": ZERO, "running_var": ONE, "num_batches_tracked": ZERO}


@module(nn.Linear)
def _linear(m: nn.Module) -> Mapping[str, Layout]:
    return _LINEAR


@functools.lru_cache(maxsize=256)
def _convolution(groups: int, transposed: bool) -> Mapping[str, Layout]:
    in_axes, out_axes = ((0,), (1,)) if transposed else ((1,), (0,))
    return {"weight": Layout(role="weight", in_axes=in_axes, out_axes=out_axes, groups=groups), "bias": BIAS}


@module(nn.modules.conv._ConvNd)
def _conv(m: nn.Module) -> Mapping[str, Layout]:
    assert isinstance(m, nn.modules.conv._ConvNd)
    return _LINEAR if m.groups == 1 and not m.transposed else _convolution(m.groups, m.transposed)


@module(nn.modules.batchnorm._NormBase)
def _running_norm(m: nn.Module) -> Mapping[str, Layout]:
    return _RUNNING


@module(nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
def _norm(m: nn.Module) -> Mapping[str, Layout]:
    return _AFFINE_NORM


@module(nn.Embedding, nn.EmbeddingBag)
def _embedding(m: nn.Module) -> Mapping[str, Layout]:
    padding: int | None = m.padding_idx  # type: ignore[assignment]
    return {"weight": EMBEDDING if padding is None else Layout(role="embedding", out_axes=(1,), in_axes=(0,), zero_rows=(padding,))}
