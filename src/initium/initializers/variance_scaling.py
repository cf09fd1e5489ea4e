"""VarianceScaling: the std follows the fans. LeCun, Xavier (Glorot) and Kaiming (He) are its named cases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from .. import _laws as laws
from .._errors import ArgumentError, nearest
from .._expressions import Expression
from .._fans import BARE, Layout
from .._gains import calculate_gain
from ._base import Initializer, Number
from .trunc_normal import TruncNormal

MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
LAWS = ("normal", "uniform", "truncated_normal")
AXES = ("in_axes", "out_axes", "batch_axes")
Axes = tuple[int, ...] | None


Slope = float | None  # checked in torch's words, which takes None where the nonlinearity has no slope


def fan_of(mode: str, fan_in: int, fan_out: int) -> float:
    """The fan that a mode means: fan_in, fan_out, their mean, or their geometric mean."""
    if mode == "fan_in":
        return float(fan_in)
    if mode == "fan_out":
        return float(fan_out)
    if mode == "fan_avg":
        return (fan_in + fan_out) / 2
    return math.sqrt(float(fan_in) * float(fan_out))


@dataclass(frozen=True)
class _FanScaled(Initializer):
    """What the scaled initializers share: explicit axes, and a std turned into a law."""

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        axes = cast(tuple[Axes, Axes, Axes], tuple(getattr(self, name) for name in AXES))
        fan_in, fan_out = layout.with_axes(*axes, len(shape)).fans(shape)
        std = self.std(fan_in, fan_out)
        return law_of_std(self.law_name, std)

    @property
    def law_name(self) -> str:
        raise NotImplementedError(f"{type(self).__name__} defines no law_name")

    def std(self, fan_in: int, fan_out: int) -> float:
        """The std for these fans."""
        raise NotImplementedError(f"{type(self).__name__} defines no std")


def law_of_std(law: str, std: float) -> laws.Law:
    """A zero-mean law of that std: normal, uniform(±√3 std), or the normal cut at ±2σ with its std corrected."""
    if law == "uniform":
        bound = math.sqrt(3.0) * std
        return laws.Uniform(-bound, bound)
    if law == "truncated_normal":
        return TruncNormal(std=std, bounds=2.0).law_for((), BARE)
    return laws.Normal(0.0, std)


def _checked(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ArgumentError(f"{name} {value!r} not supported.{nearest(str(value), known)} Please use one of {', '.join(known)}")


@dataclass(frozen=True)
class VarianceScaling(_FanScaled):
    """Var w = scale / fan, with zero mean.

    Use when: you know the scale by its Keras or JAX arguments, or need fan_avg or fan_geo_avg.
    Not when: one of the named cases says it: ``LecunNormal``, ``XavierNormal``, ``KaimingNormal``.

    Args:
        scale: > 0; 2 for ReLU, 1 for linear and SELU.
        mode: ``fan_in``, ``fan_out``, ``fan_avg`` = (fan_in + fan_out) / 2, ``fan_geo_avg`` = √(fan_in · fan_out).
        law: ``normal``, ``uniform`` or ``truncated_normal`` (±2σ, std corrected, as in Keras and JAX).
        in_axes, out_axes, batch_axes: the axes, where they are not those of the module.

    Raises:
        ArgumentError: scale ≤ 0, an unknown mode or law, a tensor without fans.

    Example:
        >>> w = VarianceScaling(2.0, "fan_in", "normal")(64, 400)
        >>> abs(float(w.std()) - (2 / 400) ** 0.5) < 2e-3
        True

    Source: He et al. 2015 (arXiv 1502.01852), Glorot & Bengio 2010; the three arguments are Keras's and JAX's.
    """

    name = "variance_scaling"

    scale: Number = 1.0
    mode: str = "fan_in"
    law: str = "truncated_normal"
    in_axes: Axes = None
    out_axes: Axes = None
    batch_axes: Axes = None

    def __post_init__(self) -> None:
        if not isinstance(self.scale, Expression) and not cast(float, self.scale) > 0:
            raise ArgumentError(f"variance_scaling expects scale > 0, got scale={self.scale}")
        _checked("mode", self.mode, MODES)
        _checked("law", self.law, LAWS)

    @property
    def law_name(self) -> str:
        return self.law

    def std(self, fan_in: int, fan_out: int) -> float:
        return math.sqrt(cast(float, self.scale) / fan_of(self.mode, fan_in, fan_out))


@dataclass(frozen=True)
class LecunNormal(_FanScaled):
    """N(0, 1 / fan_in): keeps the variance of a linear layer, and SELU's fixed point.

    Use when: units are SELU or linear.
    Not when: units are ReLU: ``KaimingNormal``.

    Example:
        >>> abs(float(LecunNormal()(64, 400).std()) - 400**-0.5) < 1e-3
        True

    Source: LeCun et al. 1998, Efficient BackProp; Klambauer et al. 2017 (1706.02515). JAX and timm truncate it at ±2σ; this one
    is a whole normal: ``VarianceScaling(1, "fan_in", "truncated_normal")`` is theirs.
    """

    name = "lecun_normal"
    in_axes: Axes = None
    out_axes: Axes = None
    batch_axes: Axes = None
    law_name = "normal"

    def std(self, fan_in: int, fan_out: int) -> float:
        return 1.0 / math.sqrt(fan_in)


@dataclass(frozen=True)
class LecunUniform(LecunNormal):
    """U(±√(3 / fan_in)): variance 1 / fan_in.

    Use when: as ``LecunNormal``, where no weight may lie far out.
    Not when: units are ReLU: ``KaimingUniform``.

    Example:
        >>> float(LecunUniform()(64, 300).abs().max()) <= 0.1 + 1e-8  # the bound is rounded to fp32
        True

    Source: LeCun et al. 1998.
    """

    name = "lecun_uniform"
    law_name = "uniform"


@dataclass(frozen=True)
class XavierNormal(_FanScaled):
    """N(0, gain² · 2 / (fan_in + fan_out)).

    Use when: units are tanh or linear; attention and transformers with norms.
    Not when: deep ReLU networks without norms: each layer would halve the second moment.

    Args:
        gain: factor on the std; ``init.calculate_gain`` knows the activations'.

    Example:
        >>> abs(float(XavierNormal()(300, 500).std()) - 0.05) < 1e-3
        True

    Source: Glorot & Bengio 2010, AISTATS, eq. 16.
    """

    name = "xavier_normal"
    gain: Number = 1.0
    in_axes: Axes = None
    out_axes: Axes = None
    batch_axes: Axes = None
    law_name = "normal"

    def __post_init__(self) -> None:
        if not isinstance(self.gain, Expression) and not cast(float, self.gain) >= 0:  # NaN lands here too
            raise ArgumentError(f"{self.name} expects gain >= 0, got gain={self.gain}")

    def std(self, fan_in: int, fan_out: int) -> float:
        return cast(float, self.gain) * math.sqrt(2.0 / float(fan_in + fan_out))


@dataclass(frozen=True)
class XavierUniform(XavierNormal):
    """U(±gain · √(6 / (fan_in + fan_out))).

    Use when: as ``XavierNormal``; the usual choice for attention.
    Not when: deep ReLU networks without norms: ``KaimingUniform``.

    Example:
        >>> float(XavierUniform()(300, 300).abs().max()) <= 0.1 + 1e-8  # the bound is rounded to fp32
        True

    Source: Glorot & Bengio 2010, AISTATS, eq. 16.
    """

    name = "xavier_uniform"
    law_name = "uniform"


@dataclass(frozen=True)
class KaimingNormal(_FanScaled):
    """N(0, gain² / fan), gain = √(2 / (1 + a²)) for a (leaky) ReLU.

    Use when: units are ReLU, leaky ReLU, GELU or SiLU, with or without norms.
    Not when: units are tanh or SELU: ``XavierNormal``, ``LecunNormal``.

    Args:
        a: the negative slope of the leaky ReLU that follows; used with ``nonlinearity="leaky_relu"`` only.
        mode: ``fan_in`` keeps the forward variance, ``fan_out`` the backward; ``fan_avg`` and ``fan_geo_avg`` lie between.
        nonlinearity: any name that ``init.calculate_gain`` knows.

    Example:
        >>> abs(float(KaimingNormal()(64, 800).std()) - 0.05) < 1e-3
        True

    Source: He et al. 2015 (1502.01852), eq. 10 and 14.
    """

    name = "kaiming_normal"
    a: Slope = 0.0
    mode: str = "fan_in"
    nonlinearity: str = "leaky_relu"
    in_axes: Axes = None
    out_axes: Axes = None
    batch_axes: Axes = None
    law_name = "normal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", self.mode.lower() if isinstance(self.mode, str) else self.mode)
        _checked("mode", self.mode, MODES)
        if self.a is not None and (isinstance(self.a, bool) or not isinstance(self.a, (int, float))):
            raise ArgumentError(f"negative_slope {self.a} not a valid number")
        self._gain()

    def _gain(self) -> float:
        # a is a leaky ReLU's slope; what elu, softplus and others have is of another kind, and stays at its default
        return calculate_gain(self.nonlinearity, self.a if self.nonlinearity in ("leaky_relu", "prelu") else None)

    def std(self, fan_in: int, fan_out: int) -> float:
        return self._gain() / math.sqrt(fan_of(self.mode, fan_in, fan_out))


@dataclass(frozen=True)
class KaimingUniform(KaimingNormal):
    """U(±gain · √(3 / fan)).

    Use when: as ``KaimingNormal``, where no weight may lie far out.
    Not when: you mean torch's default of Linear, which is this with a=√5: ``ClassDefault``.

    Example:
        >>> float(KaimingUniform()(64, 600).abs().max()) <= 0.1 + 1e-8  # the bound is rounded to fp32
        True

    Source: He et al. 2015 (1502.01852). ``KaimingUniform(a=5**0.5)`` is torch's default for Linear and Conv: U(±1 / √fan_in).
    """

    name = "kaiming_uniform"
    law_name = "uniform"
