"""Layouts of classes that no handler describes, by what their names and their tensors tell.

A norm by its name and by what its own constructor fills it with, stacked experts by shapes that fit each other, packed
children by their names and the ratio of their sizes. Where that is not certain nothing is said: a bare parameter stays one.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable
from typing import Any, cast

from torch import nn

from .._fans import BIAS, DENSE, ONE, ZERO, Layout
from .packed import GATE_UP, KV, QK, QKV, ends_of, packed
from .registry import NOTHING, Layouts, sign

_NORMS = ("*Norm", "*Norm[0-9]*", "*NormGated", "*NormFp32", "*NormAct*", "*GRN")
_EXPERTS = ("*Experts", "*Experts[A-Z0-9]*")
_ROUTERS = ("*Router", "*Gate", "*Gating", "*MoEGate*")
# child name -> (names, how many times the inputs its outputs must be, for a class of which nothing else is known; 0: any)
_CHILDREN: dict[str, tuple[tuple[str, ...], int]] = {
    **dict.fromkeys(("qkv", "Wqkv", "wqkv", "w_qkv", "W_qkv", "to_qkv", "qkv_proj", "in_proj_qkv", "qkv_linear"), (QKV, 3)),
    **dict.fromkeys(("query_key_value", "c_attn"), (QKV, 3)),
    **dict.fromkeys(("kv", "Wkv", "to_kv"), (KV, 2)),
    **dict.fromkeys(("gate_up_proj", "w12"), (GATE_UP, 0)),
}
_IN_ATTENTION = {"qkv": QKV, "to_qkv": QKV, "kv": KV, "qk": QK}  # of timm and torchvision: equal parts whatever the inputs


def _called(*patterns: str) -> Callable[[type], bool]:
    return lambda cls: any(fnmatch.fnmatchcase(cls.__name__, pattern) for pattern in patterns)


def _of_library(*packages: str) -> Callable[[type], bool]:
    return lambda cls: any(base.__module__.split(".")[0] in packages for base in cls.__mro__)


@sign(_called(*_NORMS))
def norm(m: nn.Module) -> Layouts:
    return _norm_of(cast(Any, type(m)))  # a class hashes; mypy doubts it


@functools.cache
def _norm_of(cls: type) -> Layouts:
    start = ONE if _fills_with_ones(cls) else ZERO
    scales = dict.fromkeys(("weight", "scale", "gamma"), start)
    shifts = dict.fromkeys(("bias", "beta", "running_mean", "num_batches_tracked"), ZERO)
    return {**scales, **shifts, "running_var": ONE}


def _fills_with_ones(cls: type) -> bool:
    """Whether its constructor speaks of ones; norms that store their weight less 1 (Gemma's) and GRN speak of zeros alone."""
    for base in cls.__mro__:
        codes = (getattr(base.__dict__.get(name), "__code__", None) for name in ("__init__", "reset_parameters"))
        words = {word.rstrip("_") for code in codes if code is not None for word in code.co_names}
        if "ones" in words or "zeros" in words:
            return "ones" in words
    return True


@sign(_called(*_EXPERTS))
def experts(m: nn.Module) -> Layouts:
    """Stacked experts: (experts, out, in), or (experts, in, out) where the shapes fit only so, or the class says so."""
    tensors = m._parameters
    up = tensors.get("gate_up_proj")
    gated = up is not None
    if up is None:
        up = tensors.get("up_proj")
    down = tensors.get("down_proj")
    weight = tensors.get("weight")
    if weight is not None and weight.dim() == 3:
        return {"weight": _stack(transposed=False), "bias": BIAS}
    if up is None or down is None or up.dim() != 3 or down.dim() != 3:
        return NOTHING
    halves = 2 if gated else 1
    as_linear = up.shape[1] == halves * down.shape[2] and up.shape[2] == down.shape[1]
    as_matmul = up.shape[2] == halves * down.shape[1] and up.shape[1] == down.shape[2]
    if not (as_linear or as_matmul):
        return NOTHING
    transposed = as_matmul and (not as_linear or getattr(m, "is_transposed", False) is True)
    turns = getattr(m, "is_concatenated", True) is False or type(m).__name__ == "GptOssExperts"  # gate, up, gate, up, …
    return expert_layouts(up.shape[2 if transposed else 1] // halves, gated, transposed, turns)


@functools.lru_cache(maxsize=1024)
def expert_layouts(inner: int, gated: bool, transposed: bool, turns: bool) -> Layouts:
    """The layouts of experts whose hidden size is ``inner``; gate and up lie behind each other, or take turns row by row."""
    down = _stack(transposed)
    bias = Layout("bias", out_axes=(1,), in_axes=(), batch_axes=(0,))
    if not gated:
        return {**dict.fromkeys(("gate_proj", "up_proj", "down_proj"), down), "up_proj_bias": bias, "down_proj_bias": bias}
    halves = {"blocks": (inner, inner), "block_names": GATE_UP, "repeats": inner if turns else 1}
    axis, out_axes, in_axes = (2, (2,), (1,)) if transposed else (1, (1,), (2,))
    return {
        "gate_up_proj": Layout("weight", out_axes, in_axes, (0,), block_axis=axis, **halves),  # type: ignore[arg-type]
        "down_proj": down,
        "gate_up_proj_bias": Layout("bias", (1,), (), (0,), block_axis=1, **halves),  # type: ignore[arg-type]
        "down_proj_bias": bias,
    }


@functools.lru_cache(maxsize=2)
def _stack(transposed: bool) -> Layout:
    return Layout("weight", (2,), (1,), (0,)) if transposed else Layout("weight", (1,), (2,), (0,))


@sign(_of_library("timm", "torchvision"))
def attention(m: nn.Module) -> Layouts:
    """timm and torchvision pack equal parts under these names, except in the classes that have a handler."""
    for child in m._modules:
        if child in _IN_ATTENTION:
            return packed(m, child, _IN_ATTENTION[child])
    return any_class(m)


@sign(lambda cls: not cls.__module__.startswith("torch.nn."))
def any_class(m: nn.Module) -> Layouts:
    """Children that are packed by their names and sizes, and the weight of a linear map that calls itself so."""
    found = NOTHING
    for child in m._modules:
        if child in _CHILDREN or child == "kv_b_proj" or (child == "proj" and type(m).__name__.lower().endswith("glu")):
            here = _latent(m) if child == "kv_b_proj" else _by_ratio(m, child)
            found = {**found, **here} if found else here
    weight = m._parameters.get("weight")
    if weight is not None and weight.dim() == 2:
        declared = (m.__dict__.get("out_features"), m.__dict__.get("in_features"))
        if declared == tuple(weight.shape) or _is_router(cast(Any, type(m))):
            return {**found, **_LINEAR} if found else _LINEAR
    return found


_LINEAR = {"weight": DENSE, "bias": BIAS, "e_score_correction_bias": BIAS}


@functools.cache
def _is_router(cls: type) -> bool:
    return _called(*_ROUTERS)(cls)


def _by_ratio(m: nn.Module, child: str) -> Layouts:
    owner = m._modules[child]
    ends = None if owner is None else ends_of(owner)
    if ends is None:
        return NOTHING
    names, times = _CHILDREN.get(
        child, (("up", "gate"), 0)
    )  # the projection of diffusers' GEGLU and its like: the gate comes second
    inputs, outputs, _ = ends
    if child == "c_attn" and outputs == 2 * inputs:  # GPT-2's cross attention
        names, times = KV, 2
    fits = outputs == times * inputs if times else outputs % len(names) == 0
    return packed(m, child, names) if fits else NOTHING


def _latent(m: Any) -> Layouts:
    """DeepSeek's latent attention, in the many classes that have it: every head its own k (without its rotated part) and v."""
    said = m.__dict__
    inner, nope, value = (said.get(name, 0) for name in ("kv_lora_rank", "qk_nope_head_dim", "v_head_dim"))
    ends = ends_of(m.kv_b_proj)
    if ends is None or not (inner and nope and value) or ends[1] % (nope + value):
        return NOTHING
    heads = ends[1] // (nope + value)
    keys_and_values = packed(m, "kv_b_proj", KV, (heads * nope, heads * value), heads)
    return {**packed(m, "kv_a_proj_with_mqa", ("kv", "k_rope"), (inner, said.get("qk_rope_head_dim", 0))), **keys_and_values}
