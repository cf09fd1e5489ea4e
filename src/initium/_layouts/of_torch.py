"""The layouts of torch.nn's modules."""

from __future__ import annotations

import functools
from typing import cast

from torch import nn

from .._fans import BARE, BIAS, DENSE, EMBEDDING, KEPT_BUFFER, ONE, TRANSPOSED, ZERO, Layout
from .packed import QKV, stacked
from .registry import Layouts, module

_LINEAR = {"weight": DENSE, "bias": BIAS}
_TRANSPOSED = {"weight": TRANSPOSED, "bias": BIAS}
_AFFINE_NORM = {"weight": ONE, "bias": ZERO}
_RUNNING = {**_AFFINE_NORM, "running_mean": ZERO, "running_var": ONE, "num_batches_tracked": ZERO}
_BILINEAR = {"weight": Layout("weight", out_axes=(0,), in_axes=(1, 2)), "bias": BIAS}  # each output sums in1 · in2 products
_EMBEDDING = {"weight": EMBEDDING}
_GIVEN = dict.fromkeys(("weight", "pos_weight", "_random_samples"), KEPT_BUFFER)
_GATES: dict[str, tuple[str, ...]] = {"LSTM": ("i", "f", "g", "o"), "GRU": ("r", "z", "n")}


@module(nn.Linear)
def _linear(m: nn.Module) -> Layouts:
    return _LINEAR


@module(nn.Bilinear)
def _bilinear(m: nn.Module) -> Layouts:
    return _BILINEAR


@module(nn.modules.conv._ConvNd)
def _conv(m: nn.Module) -> Layouts:
    conv = cast(nn.modules.conv._ConvNd, m)
    if conv.groups == 1:
        return _TRANSPOSED if conv.transposed else _LINEAR
    return _grouped(conv.groups, conv.transposed)


@functools.lru_cache(maxsize=1024)
def _grouped(groups: int, transposed: bool) -> Layouts:
    # A convolution stacks the groups' outputs along axis 0, a transposed one their inputs.
    in_axes, out_axes = ((0,), (1,)) if transposed else ((1,), (0,))
    return {"weight": Layout("weight", out_axes, in_axes, groups=groups), "bias": BIAS}


@module(nn.modules.batchnorm._NormBase)
def _running_norm(m: nn.Module) -> Layouts:
    return _RUNNING


@module(nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
def _norm(m: nn.Module) -> Layouts:
    return _AFFINE_NORM


@module(nn.Embedding, nn.EmbeddingBag)
def _embedding(m: nn.Module) -> Layouts:
    padding = cast(nn.Embedding, m).padding_idx
    return _EMBEDDING if padding is None else _padded(padding)


@functools.lru_cache(maxsize=1024)
def _padded(row: int) -> Layouts:
    return {"weight": Layout("embedding", out_axes=(1,), in_axes=(0,), zero_rows=(row,))}


@module(nn.PReLU)
def _prelu(m: nn.Module) -> Layouts:
    return _slope(cast(nn.PReLU, m).init)


@functools.lru_cache(maxsize=64)
def _slope(start: float) -> Layouts:
    return {"weight": Layout(reset=float(start))}


@module(nn.MultiheadAttention)
def _attention(m: nn.Module) -> Layouts:
    return _qkv(cast(nn.MultiheadAttention, m).embed_dim)


@functools.lru_cache(maxsize=1024)
def _qkv(size: int) -> Layouts:
    weight, bias = stacked(QKV, (size, size, size))
    return {
        "in_proj_weight": weight,
        "in_proj_bias": bias,
        "q_proj_weight": DENSE,
        "k_proj_weight": DENSE,
        "v_proj_weight": DENSE,
        "bias_k": BARE,  # one more key and one more value, (1, 1, embed): rows of a sequence, not biases
        "bias_v": BARE,
    }


@module(nn.RNNBase)
def _recurrent(m: nn.Module) -> Layouts:
    rnn = cast(nn.RNNBase, m)
    return _stack(rnn.mode, rnn.hidden_size, rnn.num_layers, rnn.bidirectional)


@functools.lru_cache(maxsize=1024)
def _stack(mode: str, hidden: int, layers: int, bidirectional: bool) -> Layouts:
    one = {**_one_cell(mode, hidden), "weight_hr": DENSE}  # weight_hr: LSTM's proj_size
    return {
        f"{name}_l{layer}{direction}": layout
        for layer in range(layers)
        for direction in (("", "_reverse") if bidirectional else ("",))
        for name, layout in one.items()
    }


@module(nn.RNNCellBase)
def _cell(m: nn.Module) -> Layouts:
    mode = "LSTM" if isinstance(m, nn.LSTMCell) else "GRU" if isinstance(m, nn.GRUCell) else "RNN"
    return _one_cell(mode, cast(nn.RNNCellBase, m).hidden_size)


@functools.lru_cache(maxsize=1024)
def _one_cell(mode: str, hidden: int) -> Layouts:
    weight, bias = _gates(mode, hidden)
    return {"weight_ih": weight, "weight_hh": weight, "bias_ih": bias, "bias_hh": bias}


def _gates(mode: str, hidden: int) -> tuple[Layout, Layout]:
    names = _GATES.get(mode, ())
    return stacked(names, (hidden,) * len(names)) if names else (DENSE, BIAS)


@module(nn.modules.loss._WeightedLoss, nn.BCEWithLogitsLoss, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)
def _given(m: nn.Module) -> Layouts:
    return _GIVEN
