"""Is the plan of a recipe the plan that was captured from the library itself? Entry by entry: kind, law, numbers to 1e-6, constants."""

from __future__ import annotations

from typing import Any

import torch

import initium
from initium import _laws as laws
from initium._programs import Blocks, Given, Made, Program

NEAR = 1e-6


def differences(ours: initium.Plan, theirs: initium.Plan) -> list[str]:
    """A sentence for every parameter, and every buffer that we do not keep, on which the two plans disagree."""
    found = [f"{name}: only in one of the plans" for name in set(ours) ^ set(theirs)]
    for name in ours:
        if name in theirs:
            a, b = ours[name], theirs[name]
            if a.is_buffer and a.kind == "kept":  # what a recipe leaves as constructed is the constructor's
                continue
            if a.kind == "tied" or b.kind == "tied":
                if (a.kind, a.tied_to) != (b.kind, b.tied_to):
                    found.append(f"{name}: tied to {a.tied_to} and to {b.tied_to}")
            elif a.program is None or b.program is None:
                found.append(f"{name}: {a.kind} by {a.rule}, and {b.kind} {b.initializer}")
            elif (reason := _unlike(a.program, b.program, a.shape)) and (reason := _unlike_values(ours, theirs, name, reason)):
                found.append(f"{name}: {a.initializer} by {a.rule}, and {b.initializer} of {b.source}: {reason}")
    return found


def _unlike(a: Program, b: Program, shape: tuple[int, ...]) -> str:
    if isinstance(a, Blocks) or isinstance(b, Blocks):
        one, other = _pieces(a, shape), _pieces(b, shape)
        if [size for size, _ in one] != [size for size, _ in other]:
            return "packed differently"
        return next((reason for (_, x), (_, y) in zip(one, other, strict=True) if (reason := _unlike(x, y, shape))), "")
    if type(a) is not type(b):
        return f"a {type(a).__name__} and a {type(b).__name__}"
    numbers = _numbers(a), _numbers(b)
    if any(abs(x - y) > NEAR * max(abs(x), abs(y)) for x, y in zip(*numbers, strict=True)):
        return f"{numbers[0]} and {numbers[1]}"
    return ""


def _pieces(program: Program, shape: tuple[int, ...]) -> list[tuple[int, Program]]:
    return list(program.parts) if isinstance(program, Blocks) else [(shape[0], program)]


def _numbers(program: Any) -> tuple[float, ...]:
    if isinstance(program, laws.Constant):
        return (program.value,)  # type: ignore[return-value]
    if isinstance(program, laws.Normal):
        return program.mean, program.std
    if isinstance(program, laws.Uniform):
        return program.low, program.high
    if isinstance(program, laws.TruncNormal):
        return program.mean, program.std, program.low, program.high
    raise AssertionError(f"a program that parity does not know: {program}")


def _unlike_values(ours: initium.Plan, theirs: initium.Plan, name: str, reason: str) -> str:
    """Tables and laws that are computed on one side: their values, or for random ones their order statistics."""
    programs = ours[name].program, theirs[name].program
    if not any(isinstance(program, (Given, Made)) for program in programs):
        return reason
    a, b = ours.values(name).double(), theirs.values(name).double()
    if ours[name].kind == "drawn":
        a, b = a.sort().values, b.sort().values
        near = bool(((a - b).abs().max() < 6 / a.numel() ** 0.5 * a.std()).item())
    else:
        near = torch.allclose(a, b, rtol=NEAR, atol=NEAR)
    return "" if near else f"values {a[:4].tolist()} and {b[:4].tolist()}"


def check(recipe: str | initium.Recipe, make: Any, *args: Any, **kwargs: Any) -> initium.Plan:
    """Capture a model and compare; returns our plan."""
    skeleton, theirs = initium.capture(make, *args, seed=0, **kwargs)
    ours = initium.plan(skeleton, recipe, seed=0)
    found = differences(ours, theirs)
    assert not found, "\n".join(found[:8])
    return ours
