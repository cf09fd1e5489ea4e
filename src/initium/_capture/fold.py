"""Arithmetic on a law: what scalar operations after a draw make of it, where that is another law; and the initializer to show."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, cast

import torch

from .. import _laws as laws
from .._fans import DENSE, Layout
from .._programs import Made, Program
from ..initializers import Constant, CutNormal, Dirac, Eye, Initializer, Normal, Ones, Orthogonal, Sparse, Uniform, Zeros
from .sites import Call
from .values import Cut

aten = torch.ops.aten

_NEGLIGIBLE = 1e-6  # mass that a clamp may move to its bounds and still be called a cut
_LAST = 6.24  # σ: the stream's normal goes no further


def folded(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any], law: Program | Cut) -> Program | Cut | None:
    """The law of ``op(draw, …)``, or None where it is no law of ours (or not a rising function of the draw)."""
    if op in _SAME:
        return law
    if not isinstance(law, (laws.Uniform, laws.Normal, Cut)):
        return None
    if op in _ERFINV:
        return _erfinv(law)
    if op in _CLAMP:
        bounds = [args[i] if len(args) > i else kwargs.get(name) for i, name in ((1, "min"), (2, "max"))]
        return _clamped(law, *bounds) if all(bound is None or _is_number(bound) for bound in bounds) else None
    if op in _CLAMP_MIN or op in _CLAMP_MAX:
        bound = args[1]
        if not _is_number(bound):
            return None
        return _clamped(law, bound, None) if op in _CLAMP_MIN else _clamped(law, None, bound)
    scale, shift = _affine(op, args, kwargs)
    if scale is None or not scale > 0 or not math.isfinite(scale) or not math.isfinite(shift):
        return None
    if isinstance(law, laws.Uniform):
        return laws.Uniform(law.low * scale + shift, law.high * scale + shift)
    if isinstance(law, laws.Normal):
        return laws.Normal(law.mean * scale + shift, law.std * scale)
    return Cut(law.loc * scale + shift, law.sigma * scale, law.low * scale + shift, law.high * scale + shift)


def _affine(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[float | None, float]:
    """(scale, shift) of an operation on a draw, or (None, 0)."""
    if len(args) < 2 or kwargs.get("rounding_mode") is not None:
        return None, 0.0
    other = _number(args[1])
    if other is None:
        return None, 0.0
    alpha = _number(kwargs.get("alpha", args[2] if len(args) > 2 else 1))
    if op in _MUL:
        return other, 0.0
    if op in _DIV:
        return (1.0 / other if other else None), 0.0
    if alpha is None:
        return None, 0.0
    if op in _ADD:
        return 1.0, other * alpha
    return (1.0, -other * alpha) if op in _SUB else (None, 0.0)


def _erfinv(law: Program | Cut) -> Cut | None:
    if not isinstance(law, laws.Uniform) or law.low < -1 or law.high > 1:
        return None
    from mpmath import mp

    low, high = (float(mp.erfinv(bound)) if abs(bound) < 1 else math.copysign(math.inf, bound) for bound in (law.low, law.high))
    return Cut(0.0, math.sqrt(0.5), low, high)


def _clamped(law: Program | Cut, low: float | None, high: float | None) -> Program | Cut | None:
    low, high = (-math.inf if low is None else float(low)), (math.inf if high is None else float(high))
    if isinstance(law, laws.Uniform):
        return law if low <= law.low and high >= law.high else None
    if isinstance(law, laws.Normal):
        reach = _LAST * law.std
        return law if low <= law.mean - reach and high >= law.mean + reach else None
    assert isinstance(law, Cut)
    if not law.sigma:
        return None
    lost = _mass(law, law.low, low) + _mass(law, high, law.high)
    if lost > _NEGLIGIBLE * max(_mass(law, law.low, law.high), 1e-300):
        return None
    return Cut(law.loc, law.sigma, max(law.low, low), min(law.high, high))


def _mass(law: Cut, low: float, high: float) -> float:
    """How much of the uncut normal lies between the two; only compared with a threshold, never stored."""
    if low >= high:
        return 0.0
    a, b = ((edge - law.loc) / (law.sigma * math.sqrt(2.0)) for edge in (low, high))
    return (math.erfc(a) - math.erfc(b)) / 2 if a > 0 else (math.erf(b) - math.erf(a)) / 2


def settled_law(law: Program | Cut) -> Program:
    """The law with every number worked out."""
    return laws.truncated(*law) if isinstance(law, Cut) else law


@dataclass(frozen=True)
class Recorded(Initializer):
    """An init function that a constructor called, with its arguments and the fans that it used.

    Args:
        call: the function's name without its underscore.
        arguments: (name, value) pairs.
        law: what it comes to.

    Example:
        >>> str(Recorded("kaiming_uniform", (("a", 5**0.5), ("fan_in", 768))))
        'kaiming_uniform(a=√5, fan_in=768)'
    """

    name = "recorded"

    call: str = ""
    arguments: tuple[tuple[str, float | int | str], ...] = ()
    law: laws.Law | None = None

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        assert self.law is not None
        return self.law

    def __str__(self) -> str:
        return f"{self.call}({', '.join(f'{name}={_shown(value)}' for name, value in self.arguments)})"


def _shown(value: float | int | str) -> str:
    if isinstance(value, float):
        square = value * value
        if value > 0 and value != int(value) and abs(square - round(square)) < 1e-12 and 0 < round(square) < 100:
            return f"√{round(square)}"
        return f"{value:.6g}"
    return str(value)


def said_by(call: Call | None, law: Program | Cut) -> Initializer | None:
    """What to show for a draw that an init function made; None where the law says it all."""
    if call is None:
        return None
    if call.is_torch:
        return _fan_scaled(call.name.rstrip("_"), call.said, law) if call.name.startswith(("kaiming", "xavier")) else None
    said, code = call.said, call.frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    pairs = tuple((name, said[name]) for name in names if isinstance(said.get(name), (int, float, str)))
    return Recorded(call.name.rstrip("_"), pairs, _known_law(law))


def _fan_scaled(name: str, said: dict[str, Any], law: Program | Cut) -> Initializer | None:
    if name.startswith("xavier"):
        return _xavier(name, _known_law(law), said.get("gain"), said.get("fan_in"), said.get("fan_out"))
    slope, nonlinearity = said.get("a", 0), said.get("nonlinearity", "leaky_relu")
    mode = str(said.get("mode", "fan_in")).lower()
    return _kaiming(name, _known_law(law), slope, nonlinearity, mode, said.get("fan"))


@functools.lru_cache(maxsize=4096)
def _xavier(name: str, law: laws.Law | None, gain: Any, fan_in: Any, fan_out: Any) -> Recorded:
    return _recorded(name, law, gain=(gain, 1.0), fan_in=(fan_in, None), fan_out=(fan_out, None))


@functools.lru_cache(maxsize=4096)
def _kaiming(name: str, law: laws.Law | None, slope: Any, nonlinearity: Any, mode: str, fan: Any) -> Recorded:
    slope = slope if nonlinearity in ("leaky_relu", "prelu") else 0
    return _recorded(name, law, a=(slope, 0), nonlinearity=(nonlinearity, "leaky_relu"), **{mode: (fan, None)})


def _recorded(name: str, law: laws.Law | None, **arguments: tuple[Any, Any]) -> Recorded:
    pairs = tuple((key, value) for key, (value, default) in arguments.items() if value is not None and value != default)
    return Recorded(name, pairs, law)


def _known_law(law: Program | Cut) -> laws.Law | None:
    return law if isinstance(law, (laws.Uniform, laws.Normal, laws.Constant, laws.TruncNormal)) else None


def initializer_of(law: Program) -> Initializer | None:
    """The initializer that says no more than the law does."""
    if isinstance(law, laws.Uniform):
        return Uniform(law.low, law.high)
    if isinstance(law, laws.Normal):
        return Normal(law.std, law.mean)
    if isinstance(law, laws.TruncNormal):
        return CutNormal(law.sigma, law.loc, law.low, law.high)
    if isinstance(law, laws.Constant):
        return Zeros() if law.value == 0 else Ones() if law.value == 1 else Constant(law.value)
    if isinstance(law, Made) and isinstance(law.maker, Initializer):
        return law.maker
    return None


def whole_initializer(name: str, said: dict[str, Any]) -> Initializer | None:
    """torch's init functions that compute a tensor whole, as ours."""
    if name == "orthogonal_":
        return Orthogonal(float(said.get("gain", 1)))
    if name == "sparse_":
        return Sparse(said["sparsity"], std=float(said.get("std", 0.01)))
    if name == "eye_":
        return Eye()
    return Dirac(said.get("groups", 1)) if name == "dirac_" else None


WHOLE = frozenset({"orthogonal_", "sparse_", "eye_", "dirac_"})


def whole_program(initializer: Initializer, shape: tuple[int, ...]) -> Program:
    """torch's meaning: by shape, whatever the module packs into it."""
    return initializer.program(shape, DENSE)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: object) -> float | None:
    if isinstance(value, torch.Tensor):
        return float(value) if value.dim() == 0 and not value.is_meta and not value.is_complex() else None
    return float(cast(float, value)) if _is_number(value) else None


_MUL = frozenset({aten.mul.Tensor, aten.mul.Scalar, aten.mul_.Tensor, aten.mul_.Scalar})
_DIV = frozenset({aten.div.Tensor, aten.div.Scalar, aten.div_.Tensor, aten.div_.Scalar})
_ADD = frozenset({aten.add.Tensor, aten.add.Scalar, aten.add_.Tensor, aten.add_.Scalar})
_SUB = frozenset({aten.sub.Tensor, aten.sub.Scalar, aten.sub_.Tensor, aten.sub_.Scalar})
_ERFINV = frozenset({aten.erfinv.default, aten.erfinv_.default})
_CLAMP = frozenset({aten.clamp.default, aten.clamp_.default})
_CLAMP_MIN = frozenset({aten.clamp_min.default, aten.clamp_min_.default})
_CLAMP_MAX = frozenset({aten.clamp_max.default, aten.clamp_max_.default})
_SAME = frozenset({aten.clone.default, aten._to_copy.default, aten.lift_fresh_copy.default, aten.contiguous.default})
FOLDABLE = _MUL | _DIV | _ADD | _SUB | _ERFINV | _CLAMP | _CLAMP_MIN | _CLAMP_MAX | _SAME
