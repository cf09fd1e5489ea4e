"""The pictures of the initializers: weights that were drawn, over the density that was planned; structured ones as they lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import svg
import torch
from torch import Tensor, nn

import initium
from initium import _laws as laws
from initium.initializers import Initializer, initializer_class

Density = Callable[[float], float]
T_MAX = 784
MADE: dict[str, tuple[dict[str, object], tuple[int, ...]]] = {
    "bilinear": ({}, (1, 1, 8, 8)),
    "delta_orthogonal": ({}, (8, 8, 3, 3)),
    "dirac": ({}, (8, 8, 3, 3)),
    "eye": ({}, (16, 24)),
    "hadamard": ({}, (32, 16)),
    "hippo": ({}, (20, 20)),
    "icnr": ({}, (8, 8, 3, 3)),
    "log_range": ({}, (8, 32)),
    "new_tokens": ({"old": torch.outer(torch.linspace(1, -1, 14), torch.linspace(0.5, -1, 40)) + 0.2, "scale": 0.3}, (18, 40)),
    "parts": ({"base": "normal", "over": (("8:12", 0),)}, (16, 40)),
    "ramp": ({}, (8, 32)),
    "sinusoids": ({}, (16, 48)),
    "sparse": ({}, (30, 30)),
    "values": ({"tensor": torch.outer(torch.linspace(-1, 1, 12), torch.linspace(-1, 1, 36))}, (12, 36)),
}
NOTHING = ("keep", "reset")  # they write no values of their own
ARGUMENTS: dict[str, dict[str, object]] = {"cut_normal": {"a": -1.0, "b": 2.0}, "hyper_fan": {"fan": 64}}


class Figure(NamedTuple):
    """A picture and the sentence under it."""

    text: str
    caption: str


def figure(name: str) -> Figure | None:
    """The picture of an initializer, or None for those that write nothing."""
    if name in NOTHING:
        return None
    if name in MADE:
        return _matrix(name)
    special = {"chrono": _chrono, "class_default": _class_default, "complex_rayleigh": _rayleigh, "mimetic": _mimetic}
    if name in special:
        return special[name]()
    initializer = initializer_class(name)(**ARGUMENTS.get(name, {}))
    values, density, support = _drawn(initializer)
    if len(set(values)) == 1:
        return _constant(name, initializer)
    said = f"{initializer}" if "(" in str(initializer) else f"{name}"
    std = torch.tensor(values, dtype=torch.float64).std()
    title = f"{len(values):,} weights of a 64 × 64 layer, {said}: std {std:.4f}; the line is the planned density."
    return Figure(svg.histogram(values, title, density, support), title)


def _drawn(initializer: Initializer) -> tuple[list[float], Density | None, tuple[float, float] | None]:
    """Weights, the density that was planned, and its ends where it has any."""
    plan = initium.plan(nn.Linear(64, 64, bias=False), [initium.Rule("weight", initializer)], seed=0)
    law = plan["weight"].program
    bounded = isinstance(law, (laws.Uniform, laws.TruncNormal))
    return plan.values("weight").double().tolist(), _density(initializer, law), (law.low, law.high) if bounded else None


def _density(initializer: Initializer, law: object) -> Density | None:
    if isinstance(law, laws.Uniform):
        return lambda x: 1 / (law.high - law.low) if law.low <= x <= law.high else 0.0
    if isinstance(law, laws.Normal):
        return _normal(law.mean, law.std)
    if isinstance(law, laws.TruncNormal):
        inside, share = _normal(law.loc, law.sigma), (law.hi - law.lo) / 2**32
        return lambda x: inside(x) / share if law.low <= x <= law.high else 0.0
    return OF_MADE.get(type(initializer).name)


def _normal(mean: float, std: float) -> Density:
    return lambda x: math.exp(-(((x - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))


def _haar(x: float, n: int = 64) -> float:
    """One element of an orthogonal matrix: (1 − x²)^((n − 3) / 2) / B(½, (n − 1) / 2)."""
    return (1 - x * x) ** ((n - 3) / 2) * math.exp(math.lgamma(n / 2) - math.lgamma((n - 1) / 2)) / math.sqrt(math.pi)


def _step(x: float) -> float:
    """b = softplus⁻¹(Δ) with log Δ uniform: d log Δ / db = (1 − e^−Δ) / Δ."""
    step = math.log1p(math.exp(x))
    return (1 - math.exp(-step)) / step / math.log(100) if 0.001 <= step <= 0.1 else 0.0


OF_MADE: dict[str, Density] = {
    "orthogonal": _haar,
    "dt_bias": _step,
    "log_uniform": lambda x: math.exp(x) / 15 if 0 <= x <= math.log(16) else 0.0,
}


def _constant(name: str, initializer: Initializer) -> Figure:
    value = float(initializer(1))
    text = svg.histogram([value] * 64, f"every element is {value:g}", None, (value - 1.5, value + 1.5))
    return Figure(text, f"Every element is {value:g}.")


def _matrix(name: str) -> Figure:
    arguments, shape = MADE[name]
    initializer = initializer_class(name)(**arguments)
    tensor = initializer(*shape, generator=torch.Generator().manual_seed(0)).double()
    size = " × ".join(map(str, shape))
    what = f"A weight of {size}"
    if tensor.dim() == 4 and shape[0] > 1:
        what += ": outputs down, inputs across, each with its 3 × 3 taps"
        tensor = tensor.permute(0, 2, 1, 3).reshape(shape[0] * shape[2], shape[1] * shape[3])
    elif tensor.dim() == 4:
        what += ", its taps"
    caption = f"{what}. Blue is above 0, orange below, stronger where it is larger; what is empty is 0 or nearly."
    return Figure(svg.matrix(_rows(tensor.reshape(-1, tensor.shape[-1])), caption), caption)


def _rows(tensor: Tensor) -> Sequence[Sequence[float]]:
    return tensor.tolist()  # type: ignore[no-any-return]


def _chrono() -> Figure:
    plan = initium.plan(nn.LSTM(4, 4096), initium.recipe("chrono", t_max=T_MAX), seed=0)
    forget = plan.values("bias_ih_l0", 4096, 8192).double().tolist()
    most = math.log(T_MAX - 1)
    title = f"Forget biases of an LSTM of 4,096 units, t_max = {T_MAX}; the line is e^b / (t_max − 2), up to log(t_max − 1) = {most:.2f}."
    density: Density = lambda b: math.exp(b) / (T_MAX - 2) if 0 <= b <= math.log(T_MAX - 1) else 0.0  # noqa: E731
    return Figure(svg.histogram(forget, title, density, (0.0, most)), title)


def _class_default() -> Figure:
    values, *_ = _drawn(initializer_class("class_default")())
    title = "4,096 weights of nn.Linear(64, 64) as its class has them: U(±1 / √64), the line."
    return Figure(svg.histogram(values, title, lambda x: 4.0, (-0.125, 0.125)), title)


def _rayleigh() -> Figure:
    initializer = initializer_class("complex_rayleigh")()
    weight = initializer(64, 64, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    sigma = 1 / math.sqrt(128)
    title = "|w| of a complex 64 × 64 weight; the line is Rayleigh's density with σ = 1 / √128."
    density: Density = lambda r: r / sigma**2 * math.exp(-((r / sigma) ** 2) / 2) if r > 0 else 0.0  # noqa: E731
    return Figure(svg.histogram(weight.abs().double().flatten().tolist(), title, density), title)


def _mimetic() -> Figure:
    net = nn.ModuleList([nn.MultiheadAttention(24, 1)])
    initium.initialize(net, "mimetic", seed=0)
    q, k, v = net[0].in_proj_weight.detach().double().chunk(3)
    out = v.T @ net[0].out_proj.weight.detach().double().T
    both = torch.cat([q.T @ k, torch.zeros(24, 2), out], 1)
    caption = "W_qᵀ W_k (left) and W_vᵀ W_oᵀ (right) of one head of 24 channels: a diagonal above 0, and one below."
    return Figure(svg.matrix(_rows(both), caption), caption)
