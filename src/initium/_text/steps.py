"""Computations <-> plain data: the steps of a ``Computed`` program, for plans as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from .._errors import ArgumentError
from .._programs import At, Computed, Leaf, Program, Step
from .forms import Form, Malformed, Path, fields_of, number_form, number_of

_TORCH = (torch.dtype, torch.layout, torch.memory_format)


def computed_form(program: Computed, leaf_form: Callable[[Program], Form]) -> Form:
    """The computation as JSON-able data; ``leaf_form`` writes the programs it starts from."""
    steps: list[Form] = []
    for step in program.steps:
        if isinstance(step, Leaf):
            steps.append({"leaf": leaf_form(step.program), "shape": list(step.shape)})
        else:
            kwargs = {name: _value_form(value) for name, value in step.kwargs}
            args = [_value_form(value) for value in step.args]
            steps.append({"op": step.op, "args": args, "kwargs": kwargs, "changes": list(step.changes), "code": step.code})
    numbers = {name: None if (x := getattr(program, name)) is None else number_form(x) for name in ("mean", "std")}
    return {"steps": steps, "out": [program.out.index, program.out.item], **numbers}


def computed_of(form: Form, at: Path, leaf_of: Callable[[Form, Path], Program]) -> Computed:
    """The inverse of ``computed_form``.

    Raises:
        Malformed: not a computation.
    """
    fields = fields_of(form, at, ("steps", "out", "mean", "std"))
    steps: list[Leaf | Step] = []
    for index, step in enumerate(fields["steps"]):
        here = (*at, "steps", index)
        if "leaf" in step:
            leaf = fields_of(step, here, ("leaf", "shape"))
            steps.append(Leaf(leaf_of(leaf["leaf"], (*here, "leaf")), tuple(leaf["shape"])))
            continue
        told = fields_of(step, here, ("op", "args", "kwargs", "changes", "code"))
        if not str(told["op"]).startswith("aten."):
            raise Malformed(f"{told['op']!r} is not one of torch's own operators", (*here, "op"))
        args = tuple(_value_of(value, (*here, "args")) for value in told["args"])
        kwargs = tuple((name, _value_of(value, (*here, "kwargs"))) for name, value in told["kwargs"].items())
        steps.append(Step(told["op"], args, kwargs, tuple(told["changes"]), told["code"]))
    mean, std = (None if fields[name] is None else number_of(fields[name], (*at, name)) for name in ("mean", "std"))
    return Computed(tuple(steps), At(*fields["out"]), mean, std)


def _value_form(value: Any) -> Form:
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"number": repr(value)}
    if isinstance(value, At):
        return {"at": [value.index, value.item]}
    if isinstance(value, (tuple, list)):
        return [_value_form(item) for item in value]
    if isinstance(value, _TORCH):
        return {"torch": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    raise ArgumentError(f"a computation has the argument {value!r}, which cannot be written as text")


def _value_of(form: Form, at: Path) -> Any:
    if isinstance(form, list):
        return tuple(_value_of(item, at) for item in form)
    if not isinstance(form, dict):
        return form
    ((kind, value),) = form.items()
    if kind == "at":
        return At(*value)
    if kind == "number":
        return float(value)
    if kind == "device":
        return torch.device(value)
    found = getattr(torch, str(value), None)
    if kind != "torch" or not isinstance(found, _TORCH):
        raise Malformed(f"{form!r} is no argument of a computation", at)
    return found
