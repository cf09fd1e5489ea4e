"""E[g(z)] for z ~ N(0, 1), in fp64, of any function: kinks, jumps and poles may be anywhere."""

from __future__ import annotations

import copy
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ._errors import ArgumentError, ArgumentTypeError, reason_of

Function = Callable[..., Any]


def on_tensors(f: Function) -> Callable[[Tensor], Tensor]:
    """``f`` as a function of fp64 tensors: modules in fp64 and eval mode, functions of one float element by element."""
    function: Any = _made(f) if inspect.isclass(f) and issubclass(f, torch.nn.Module) else f
    if isinstance(function, torch.nn.Module):
        function = copy.deepcopy(function).double().eval()
    probe = torch.tensor([k / 8 + 0.01 for k in range(-16, 16)], dtype=torch.float64, device="cpu")
    try:
        result = function(probe.clone())
        if isinstance(result, Tensor) and result.shape == probe.shape:
            _refuse_complex(result.is_complex())
            _refuse_company(function, probe, result)
            return lambda z: cast(Tensor, function(z.clone()).double())  # a copy: it may write in place
    except ArgumentError:
        raise
    except Exception as error:  # a function of floats fails on tensors in many ways
        reason = reason_of(error)
    else:
        reason = f"gave {type(result).__name__} of another shape"
    try:
        value = function(0.5)
        _refuse_complex(isinstance(value, complex))
        float(value)
    except ArgumentError:
        raise
    except Exception as error:
        raise ArgumentTypeError(
            f"gain expects an elementwise function of a tensor or of a float: on an fp64 tensor it failed ({reason}), "
            f"and on a float ({error})"
        ) from None
    return lambda z: torch.tensor([_at(function, x) for x in z.tolist()], dtype=torch.float64, device="cpu")


def _made(cls: type[torch.nn.Module]) -> torch.nn.Module:
    try:
        return cls()
    except TypeError as error:
        raise ArgumentTypeError(
            f"{cls.__name__} needs arguments ({reason_of(error)}): give an instance, {cls.__name__}(…)"
        ) from None


def _refuse_complex(is_complex: bool) -> None:
    if is_complex:
        raise ArgumentError("the function's values are complex: give its modulus, or its real part, as a function of its own")


def _refuse_company(function: Function, probe: Tensor, result: Tensor) -> None:
    """Elementwise means that a number's value does not depend on those beside it, nor on when it is asked."""
    other = probe.flip(0)
    other[::3] = 3.0
    kept, again = other != 3.0, function(other.clone())
    if not torch.allclose(again[kept].double(), result.flip(0)[kept].double(), rtol=1e-6, atol=0.0, equal_nan=True):
        raise ArgumentError(
            "the function has another value for the same number when other numbers stand beside it: it is random or not "
            "elementwise (softmax, a norm), so it has no gain"
        )


def _at(function: Function, x: float) -> float:
    try:
        return float(function(x))
    except Exception as error:
        raise ArgumentError(f"the function fails at z = {x:.6g} ({reason_of(error)}), so it has no gain") from None


class _InFp64(TorchDispatchMode):
    """torch's kernel for hardsigmoid's derivative has 1/6 in fp32 only; torch's own decomposition of it is exact."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.hardsigmoid_backward.default:
            return torch.where(args[1].abs() < 3, args[0] / 6, 0.0)
        return func(*args, **(kwargs or {}))


def derivative(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    z = z.clone().requires_grad_()
    value = function(z)
    if not value.requires_grad:
        raise ArgumentTypeError("backward gain needs a function that autograd sees through: write it with torch operations")
    with _InFp64():  # type: ignore[no-untyped-call]
        return torch.autograd.grad(value.sum(), z)[0]


_REACH = 20  # sigmas integrated over: the density there is 6e-88
_FINE = 8  # sigmas of fine panels, outside which 1e-15 lies
_TOLERANCE = 2e-16  # per panel, relative to the whole
_UNRESOLVED = 1e-13  # what may be left in panels that cannot be halved further, relative to the whole
_DEEPEST = 900  # halvings towards 0; elsewhere fp64 ends them: a jump is then located to 1e-15, and contributes no more
_MOST_PANELS = 50_000


def expectation(g: Callable[[Tensor], Tensor], parts: int = 64) -> float:
    """E[g(z)], z ~ N(0, 1), by Gauss-Lobatto on panels that are halved until halving changes nothing: so kinks are found.

    A sigma has ``parts`` panels to begin with, and 36 points in each, by which what is narrow is seen.
    """

    def integrals(low: Tensor, width: Tensor) -> Tensor:
        z = low[:, None] + width[:, None] * nodes
        values = g(z.reshape(-1)).detach().reshape(z.shape)
        if not bool(values.isfinite().all()):
            raise ArgumentError(f"the function is not finite at z = {float(z[~values.isfinite()][0]):.6g}, so it has no gain")
        return (values * torch.exp(-z.square() / 2) * weights).sum(1) * width / math.sqrt(2 * math.pi)

    nodes, weights = _gauss_lobatto()
    low, width = _first_panels(parts)
    whole = integrals(low, width)
    done: list[float] = []
    panels, settled, unresolved = 0, 0.0, 0.0
    for depth in range(_DEEPEST):
        scale = settled + float(whole.abs().sum())
        if depth == 0 and max(abs(float(whole[0])), abs(float(whole[-1]))) > 1e-14 * scale:
            raise ArgumentError(f"the function grows too fast: E[f²] has not converged at {_REACH} sigmas, so it has no gain")
        half = width / 2
        left, right = integrals(low, half), integrals(low + half, half)
        both = left + right
        rough = (both - whole).abs() > _TOLERANCE * (whole.abs() + scale)
        last = (half <= 2 * torch.finfo(torch.float64).eps * low.abs()) | (depth == _DEEPEST - 1)
        unresolved += float((both - whole)[rough & last].abs().sum())
        if unresolved > _UNRESOLVED * scale:
            place = float(low[rough & last][0])
            raise ArgumentError(
                f"E[f²] does not converge near z = {place:.6g}, where the function has a pole, so it has no gain"
            )
        rough &= ~last
        done += both[~rough].tolist()
        settled += float(both[~rough].abs().sum())
        panels += 2 * int(rough.sum())
        if panels > _MOST_PANELS:
            raise ArgumentError("the function is not smooth between kinks (random, or computed below fp64?), so it has no gain")
        low, width = torch.cat((low[rough], (low + half)[rough])), torch.cat((half[rough], half[rough]))
        whole = torch.cat((left[rough], right[rough]))
        if low.numel() == 0:
            break
    return math.fsum(done)


def _first_panels(parts: int) -> tuple[Tensor, Tensor]:
    """(where each begins, how wide it is): whole sigmas in the tails, fine ones between."""
    tail = torch.arange(_FINE, _REACH, dtype=torch.float64, device="cpu")
    fine = torch.arange(-_FINE * parts, _FINE * parts, dtype=torch.float64, device="cpu") / parts
    low = torch.cat((-tail.flip(0) - 1, fine, tail))
    return low, torch.cat((torch.ones_like(tail), torch.full_like(fine, 1 / parts), torch.ones_like(tail)))


@functools.lru_cache(maxsize=1)
def _gauss_lobatto(last: int = 12) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1], by Newton on the Legendre polynomial; the ends are nodes, so that no jump hides beside one.

    They are moved inwards by 2⁻⁴⁰, whose effect is below rounding: a pole may stand at an end.
    """
    nodes, weights = [], []
    for k in range(last + 1):
        x = math.cos(math.pi * k / last)
        for _ in range(12):
            before, value = 1.0, x
            for n in range(2, last + 1):
                before, value = value, ((2 * n - 1) * x * value - (n - 1) * before) / n
            x -= (x * value - before) / ((last + 1) * value)
        nodes.append(min(max((1 + x) / 2, 2.0**-40), 1 - 2.0**-40))
        weights.append(1 / (last * (last + 1) * value * value))
    return torch.tensor(nodes, dtype=torch.float64, device="cpu"), torch.tensor(weights, dtype=torch.float64, device="cpu")
