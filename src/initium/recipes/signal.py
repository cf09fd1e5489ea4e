"""Plain networks tuned by how signals propagate: random walk, edge of chaos, tailored slopes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from .._errors import ArgumentError
from .._quadrature import derivative, expectation, on_tensors
from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import DeltaOrthogonal, Initializer, Normal, Orthogonal, RandomWalk, VarianceScaling
from ._over import over
from .general import general

Function = Callable[[Tensor], Tensor]
_PARTS = 4  # panels a sigma: a root is sought through some sixty integrals


@named("random-walk")
def random_walk(activation: str = "relu") -> Recipe:
    """N(0, g² / fan_in), g exact at every width, biases 0.

    The log of the gradient's norm is a random walk without drift; He's √2 drifts down, by 5 / (4 N) a layer.

    Use when: plain dense networks have hundreds of layers of ReLU, or none.
    Not when: there are norms or residual branches, which take the drift away.

    Args:
        activation: ``"relu"`` or ``"linear"``.

    Example:
        >>> round(initium.plan(nn.Linear(100, 100), "random-walk", seed=0)["weight"].std * 10, 6)
        1.432304

    Source: Sussillo & Abbott 2014 (1412.6558); ``initium.RandomWalk`` has the formula and how it differs from the paper's fit.
    """
    return general(RandomWalk(activation))


@named("edge-of-chaos", "critical")
def edge_of_chaos(activation: str | Function = "tanh", bias_variance: float = 2.01e-5, orthogonal: bool = False) -> Recipe:
    """Weights and biases on the critical line of an activation, where gradients neither vanish nor explode.

    Var w = σw² / fan_in and Var b = σb², where q* = σw² E f(√q* z)² + σb² and χ = σw² E f'(√q* z)² = 1. Give the network inputs of mean
    square q*: ``initium.recipes.signal.critical_point`` tells it.

    Use when: a plain network without norms or shortcuts is to be hundreds of layers deep.
    Not when: there are norms or residual branches; or the activation has no critical point at that σb².

    Args:
        activation: a name in torch or torch.nn.functional, or a function of tensors.
        bias_variance: σb² ≥ 0. Activations with f(a x) = a f(x), such as ReLU, are critical at 0 only.
        orthogonal: orthogonal weights of gain σw; delta-orthogonal ones for convolutions. These train at 10,000 layers, normal ones at some hundred.

    Raises:
        ArgumentError: no critical point there.

    Example:
        >>> plan = initium.plan(nn.Linear(100, 100), initium.recipe("edge-of-chaos", activation="tanh", bias_variance=0.05), seed=0)
        >>> round(plan["weight"].std ** 2 * 100, 6), round(plan["bias"].std ** 2, 6)
        (1.760955, 0.05)

    Source: Poole et al. 2016 (1606.05340), Schoenholz et al. 2017 (1611.01232), Xiao et al. 2018 (1806.05393, σb² = 2.01e-5).
    """
    if not (isinstance(activation, str) or callable(activation)):
        raise ArgumentError(f"edge-of-chaos expects a name or a function for activation, got {activation!r}")
    weight_variance, _ = critical_point(activation, bias_variance)
    bias = Rule(role="bias", initializer=Normal(math.sqrt(bias_variance)), optional=True)
    if not orthogonal:
        return over(general(VarianceScaling(weight_variance, "fan_in", "normal")), bias)
    gain = math.sqrt(weight_variance)
    weights: list[tuple[Initializer, tuple[int, ...]]] = [(Orthogonal(gain), (2,)), (DeltaOrthogonal(gain), (3, 4, 5))]
    return over(
        general(Orthogonal(gain)),
        *(Rule(role="weight", initializer=weight, ndim=ndim, optional=True) for weight, ndim in weights),
        bias,
    )


@named("tat", "tailored-relu")
def tat(depth: int = 50, eta: float = 0.9, scaled: bool = False) -> Recipe:
    """Orthogonal weights that keep the mean square of leaky ReLUs of a slope that is tailored to the depth, biases 0.

    The slope is the model's, and ``initium.recipes.signal.tailored_slope(depth)`` tells it: .430522949 for 50 layers. Dense layers are
    √(2 / (1 + slope²)) · Q · max(1, √(fan_out / fan_in)), convolutions the same at their centre tap alone.

    Use when: plain networks of tens or hundreds of layers, without norms or shortcuts, with leaky ReLUs of that slope.
    Not when: the slope is another: then ``he`` with its a; or a convolution has fewer outputs than inputs: no isometry is so.

    Args:
        depth: layers of leaky ReLU on the longest path.
        eta: C(0) of the network: what two orthogonal inputs are alike at its end.
        scaled: the activations are multiplied by √(2 / (1 + slope²)) already, as the paper has it; the weights then are not.

    Example:
        >>> plan = initium.plan(nn.Linear(64, 256), initium.recipe("tat", depth=50), seed=0)
        >>> round(plan["weight"].std * 64 ** 0.5, 6)
        1.298948

    Source: Zhang, Botev & Martens 2022 (2203.08120), with the orthogonal weights of Martens et al. 2021 (2110.01765). deepmind/dks takes
    torch's weights for (in, out): from 64 to 256 units it leaves a quarter of the mean square, from 256 to 64 four times as much.
    """
    slope = tailored_slope(depth, eta)
    gain = f"{1.0 if scaled else math.sqrt(2 / (1 + slope * slope))!r} * sqrt(max(1, fan_out / fan_in))"
    return over(
        general(Orthogonal(gain)),
        *(Rule(role="weight", initializer=DeltaOrthogonal(gain), ndim=ndim, optional=True) for ndim in (3, 4, 5)),
    )


def tailored_slope(depth: int, eta: float = 0.9) -> float:
    """The negative slope of leaky ReLUs at which ``depth`` layers of them take C = 0 to C = η, to 9 digits.

    A layer takes the cosine c of two inputs to C(c) = c + (1 − a)² (√(1 − c²) − c arccos c) / (π (1 + a²)), a being the slope.

    Args:
        depth: layers of leaky ReLU, ≥ 1.
        eta: in (0, 1).

    Raises:
        ArgumentError: a depth below 1, an η outside (0, 1), or so few layers that plain ReLUs do not reach η: then ReLU is what to take.

    Example:
        >>> tailored_slope(50)
        0.430522949
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ArgumentError(f"tat expects a whole number of layers, depth >= 1, got {depth!r}")
    if not 0 < eta < 1:
        raise ArgumentError(f"tat expects 0 < eta < 1, got {eta!r}")
    if _cosine(depth, 0.0) < eta:
        raise ArgumentError(
            f"{depth} layers of ReLU take 0 to {_cosine(depth, 0.0):.4g} only: with eta={eta} no slope is needed, take ReLU"
        )
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _cosine(depth, middle) > eta else (low, middle)
    return float(f"{low:.9g}")  # what is left out is where machines could disagree


def _cosine(depth: int, slope: float) -> float:
    """C of the whole network at 0."""
    share, c = (1 - slope) ** 2 / (math.pi * (1 + slope * slope)), 0.0
    for _ in range(depth):
        c = min(1.0, c + share * (math.sqrt(1 - c * c) - c * math.acos(c)))
    return c


@functools.lru_cache(maxsize=64)
def critical_point(activation: str | Function, bias_variance: float) -> tuple[float, float]:
    """(σw², q*) of the critical line at σb², to 12 digits; q* is 0 where it is only approached (σb² = 0), 1 where any will do.

    Raises:
        ArgumentError: an unknown activation, σb² < 0, or no critical point.

    Example:
        >>> critical_point("tanh", 0.05)
        (1.76095463961, 0.570047881641)
    """
    if not (math.isfinite(bias_variance) and bias_variance >= 0):
        raise ArgumentError(f"edge-of-chaos expects bias_variance >= 0, got {bias_variance}")
    f = on_tensors(_function(activation))
    with torch.inference_mode(False), torch.enable_grad():
        if _is_homogeneous(f):
            if bias_variance > 0:
                raise ArgumentError("this activation has f(a x) = a f(x): it is critical without biases only, bias_variance=0")
            return _rounded(1 / _slope(f, 1.0)), 1.0
        if bias_variance == 0:
            return _rounded(1 / _slope(f, 2.0**-40)), 0.0
        q = _root(lambda q: q - _square(f, q) / _slope(f, q) - bias_variance)
        return _rounded(1 / _slope(f, q)), _rounded(q)


def _function(activation: str | Function) -> Function:
    if not isinstance(activation, str):
        return activation
    found = getattr(torch.nn.functional, activation, None) or getattr(torch, activation, None)
    if not callable(found):
        raise ArgumentError(f"no activation is called {activation!r} in torch.nn.functional or torch: give the function itself")
    return found  # type: ignore[no-any-return]


def _square(f: Function, q: float) -> float:
    """E f(√q z)²."""
    return expectation(lambda z: f(math.sqrt(q) * z).square(), _PARTS)


def _slope(f: Function, q: float) -> float:
    """E f'(√q z)²."""
    slope = expectation(lambda z: derivative(f, math.sqrt(q) * z).square(), _PARTS)
    if slope < 1e-300:
        raise ArgumentError("this activation has no critical point: its slope is zero")
    return slope


def _is_homogeneous(f: Function) -> bool:
    return (
        all(abs(_slope(f, q) / _slope(f, 1.0) - 1) < 1e-12 for q in (0.25, 4.0))
        and abs(_square(f, 4.0) / _square(f, 1.0) - 4) < 1e-11
    )


def _root(g: Callable[[float], float]) -> float:
    """Where an increasing function is 0: brackets by doubling, then the Illinois variant of regula falsi."""
    low, high = 0.0, 2.0**-20
    below, above = g(2.0**-40), g(high)
    while above < 0:
        low, high = high, 2 * high
        below, above = above, g(high)
        if high > 2.0**20:
            raise ArgumentError("this activation has no critical point at this bias_variance")
    place, side = low, 0
    for _ in range(80):
        last, place = place, (low * above - high * below) / (above - below)
        value = g(place)
        if value == 0 or abs(place - last) < 1e-15 * place:
            break
        if value < 0:
            low, below = place, value
            above = above / 2 if side < 0 else above
            side = -1
        else:
            high, above = place, value
            below = below / 2 if side > 0 else below
            side = 1
    return place


def _rounded(x: float) -> float:
    return float(f"{x:.12g}")  # what is left out is where machines could disagree
