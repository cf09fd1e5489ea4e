"""Which law a tensor follows after an operation: what ``watch.py`` sees, taken through draws, constants and arithmetic."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from ..._capture.sites import Call
from . import law as laws
from .law import Law

_TRUNCATING = ("trunc_normal_",)


def law_of_call(call: Call | None, target: Tensor) -> Law | None:
    """The law that an init function declares, where its operations do not."""
    assert call is not None
    said = call.said
    if call.is_torch and call.name in _TRUNCATING:
        return laws.truncated(float(said["mean"]), float(said["std"]), float(said["a"]), float(said["b"]))
    if call.is_torch and call.name == "orthogonal_":
        gain, shape = float(said.get("gain", 1.0)), said["tensor"].shape
        return Law("orthogonal", 0.0, gain / math.sqrt(max(shape[0], shape.numel() // max(shape[0], 1))))
    if call.is_torch and call.name in laws.PATTERNED:
        return laws.OTHER
    return None


def law_after(
    op: str, args: tuple[Any, ...], kwargs: dict[str, Any], before: Law | None, source: Law | None, random: bool
) -> Law | None:
    """The law of a tensor after an operation in place."""
    second = args[1] if len(args) > 1 else None
    if op == "normal_":
        return laws.normal(_number(second, 0.0), _number(args[2] if len(args) > 2 else kwargs.get("std"), 1.0) * _part(args[0]))
    if op == "uniform_":
        return laws.uniform(_number(second, 0.0), _number(args[2] if len(args) > 2 else kwargs.get("to"), 1.0))
    if op == "zero_":
        return laws.constant(0.0)
    if op == "fill_":
        value = _number(second, math.nan)
        return laws.constant(value) if math.isfinite(value) else None
    if op == "copy_":
        return source
    if random:
        return laws.OTHER
    return _arithmetic(op.rstrip("_"), before, second, kwargs)


def law_of_made(
    op: str, args: tuple[Any, ...], kwargs: dict[str, Any], first: Law | None, random: bool, made: Tensor
) -> Law | None:
    """The law of a new tensor."""
    if op in ("randn", "randn_like"):
        return laws.normal(0.0, _part(made))
    if op in ("rand", "rand_like"):
        return laws.uniform(0.0, 1.0)
    if op in ("zeros", "zeros_like", "new_zeros"):
        return laws.constant(0.0)
    if op in ("ones", "ones_like", "new_ones"):
        return laws.constant(1.0)
    if op in ("full", "full_like", "new_full"):
        value = _number(args[-1] if op != "full" or len(args) < 2 else args[1], math.nan)
        return laws.constant(value) if math.isfinite(value) else None
    if op in ("clone", "_to_copy"):
        return first
    if random:
        return laws.OTHER
    return _arithmetic(op, first, args[1] if len(args) > 1 else None, kwargs)


def _arithmetic(op: str, law: Law | None, other: Any, kwargs: dict[str, Any]) -> Law | None:
    if law is None:
        return None
    if op == "erfinv":
        return laws.of_erfinv(law)
    if op == "neg":
        return law.affine(-1.0, 0.0)
    if op.startswith("clamp"):  # cutting at the bounds that it has already is what timm's truncated normal does
        return law if law.kind in ("truncated", "uniform") else None
    value = _number(other, math.nan)
    alpha = _number(kwargs.get("alpha"), 1.0)
    if not math.isfinite(value):
        return None
    if op == "mul":
        return law.affine(value, 0.0)
    if op == "div" and value:
        return law.affine(1.0 / value, 0.0)
    if op == "add":
        return law.affine(1.0, value * alpha)
    if op == "sub":
        return law.affine(1.0, -value * alpha)
    return None


def partly(before: Law | None, now: Law | None) -> Law | None:
    """The law of a storage of which a part was written: known only where both parts agree."""
    return before if before is not None and before == now else None


def _part(value: Any) -> float:
    """The std of the real numbers in a draw of variance 1: that of a complex number is shared by its two parts."""
    return math.sqrt(0.5) if isinstance(value, Tensor) and value.is_complex() else 1.0


def _number(value: Any, otherwise: float) -> float:
    if isinstance(value, bool) or value is None:
        return otherwise
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_meta and not value.is_complex():
        return float(value.detach())
    return math.nan
