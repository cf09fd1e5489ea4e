"""Plain networks tuned by how signals propagate: random walk, edge of chaos."""

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
