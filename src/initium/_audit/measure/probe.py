"""The probe: one forward pass with hooks, one backward from random cotangents, and where gradients were 0 a small step and both again.

BatchNorm normalises by its batch (at the start its running statistics say nothing), dropout is off, and everything is put back:
parameters, buffers, modes, the generators. No ``.grad`` is touched.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .construct import first_line, seeded
from .graph import Uses, uses_of
from .inputs import Inputs
from .sizes import apart, cosine, rms, rms_within
from .within import Within


@dataclass
class Signal:
    """What one call of one layer put out.

    Args:
        name, kind: the module's full name and class.
        order: its place among all calls.
        rms, mean, largest: of the output.
        finite: whether all of it is.
        input_rms: of its first float input, of a gate or where the output is not finite; else NaN.
        units: channels of a rectifier; dead_units: those that are 0 everywhere; positions: samples × places.
        saturated: share of a sigmoid's or tanh's inputs beyond ±4, or NaN.
        cosine: between the outputs for the first two inputs, at up to 65,536 places; NaN for a batch of one.
        grad_rms: of the gradient that comes back to the output; NaN without a backward pass.
    """

    name: str
    kind: str
    order: int
    rms: float
    mean: float
    largest: float
    finite: bool
    input_rms: float = math.nan
    units: int = 0
    dead_units: int = 0
    positions: int = 0
    saturated: float = math.nan
    cosine: float = math.nan
    grad_rms: float = math.nan


@dataclass
class Probe:
    """What the probe saw.

    Args:
        inputs: what the forward pass was called with, and where that came from.
        signals: per call of a leaf module, in order.
        outputs: rms of each float tensor that came out; logits: the first of them if it is (batch, classes) or (batch, places,
            classes), as (at most 256, classes).
        apart: per output with two samples or more, how far the furthest is from the first, in sizes of the first; and how many
            numbers that says.
        gradients: full name -> rms of the gradient, None where none arrives; of the first pass.
        after: full name -> 0.0 for those that were 0 and stay so after small steps, until nothing changes any more.
        within: what went on between the layers, where that was asked for.
        evaluated: rms of the first output in evaluation mode, of a model with BatchNorm, where that was asked for.
        uses: how the weights were used, read off the graph of the backward pass.
        unusual: sentences on what could not be done.
    """

    inputs: Inputs
    signals: list[Signal] = field(default_factory=list)
    outputs: list[float] = field(default_factory=list)
    apart: list[tuple[float, int]] = field(default_factory=list)
    logits: Tensor | None = None
    input_cosine: float = math.nan
    gradients: dict[str, float | None] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    alike: dict[str, int] = field(default_factory=dict)
    within: Within | None = None
    evaluated: float | None = None
    uses: Uses = field(default_factory=Uses)
    unusual: list[str] = field(default_factory=list)

    @property
    def has_gradients(self) -> bool:
        return bool(self.gradients)


class CannotRun(Exception):
    """The model could not be run; the message is the sentence to show."""


def probe(
    model: nn.Module,
    tries: Iterable[Inputs],
    parameters: Mapping[str, Tensor],
    *,
    backward: bool,
    twins: Iterable[str] = (),
    scales: Iterable[str] = (),
    extras: frozenset[str] = frozenset(),
) -> Probe:
    """Run the model on the first of the inputs that it takes.

    Args:
        model: it is left as it was.
        tries: inputs, the likeliest first.
        parameters: full name -> parameter, whose gradients are asked for.
        backward: whether to run backward.
        twins: names of matrices of which it is asked whether their rows' gradients are equal.
        scales: names of scales of which it is asked what they feed.
        extras: what else is asked for: ``within``, ``evaluation``.

    Raises:
        CannotRun: it raises on all of them, or returns no tensor of floats; says which and why.
    """
    failed: list[tuple[Inputs, BaseException]] = []
    with _as_it_was(model), seeded(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for inputs in tries:
            try:
                return _run(model, inputs, parameters, backward, tuple(twins), set(scales), extras)
            except CannotRun:
                raise
            except (Exception, SystemExit) as error:  # a model may raise anything
                failed.append((inputs, error))
    if not failed:
        raise CannotRun("no input could be made for it: say inputs= (--input on the command line)")
    tried, raised = failed[0]
    said = f"its forward raises {type(raised).__name__}: {first_line(raised)} (on {shapes(tried)}, from {tried.how})"
    hint = "" if tried.how == "inputs=" else "; say inputs= (--input on the command line) if that is not what it takes"
    raise CannotRun(said + hint)


def shapes(inputs: Inputs) -> str:
    """The inputs in words: ``2×3×224×224, input_ids=2×16``."""

    def one(value: Any) -> str:
        return "×".join(map(str, value.shape)) or "()" if isinstance(value, Tensor) else type(value).__name__

    named = [f"{name}={one(value)}" for name, value in inputs.kwargs.items()]
    return ", ".join([*map(one, inputs.args), *named]) or "nothing"


def _run(
    model: nn.Module,
    inputs: Inputs,
    parameters: Mapping[str, Tensor],
    backward: bool,
    twins: tuple[str, ...],
    scales: set[str],
    extras: frozenset[str],
) -> Probe:
    found = Probe(inputs, input_cosine=_first_cosine(inputs))
    wanted = {name: one for name, one in parameters.items() if one.requires_grad and one.is_floating_point()}
    if "within" in extras:
        found.within = Within(names_of(model))
    following = found.within.following() if found.within is not None else contextlib.nullcontext()
    with torch.set_grad_enabled(backward and bool(wanted)), _listening(model, found.signals), following:
        outputs = _floats(model(*inputs.args, **inputs.kwargs))
    if not outputs:
        raise CannotRun(f"its forward returns no tensor of floats on {shapes(inputs)}, so there is no signal to look at")
    found.outputs = [rms(one) for one in outputs]
    pairs = [one.detach() for one in outputs if one.dim() > 1 and one.shape[0] > 1 and one[0].numel()]
    found.apart = [(far, one[1:].numel()) for one in pairs if not math.isnan(far := apart(one))]
    if outputs[0].dim() in (2, 3) and outputs[0].shape[-1] > 1:
        rows = outputs[0].detach().flatten(0, -2)
        found.logits = rows[:: -(-len(rows) // 256)].float() if len(rows) else None
    if "evaluation" in extras:
        found.evaluated = _evaluated(model, inputs)
    if backward and wanted:
        _backward(model, inputs, outputs, wanted, found, twins, scales)
    return found


def _evaluated(model: nn.Module, inputs: Inputs) -> float | None:
    """The rms of the first output by running statistics; None without BatchNorm."""
    norms = [one for one in model.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm) and one.training]
    if not norms:
        return None
    for norm in norms:
        norm.training = False
    try:
        with torch.no_grad():
            return rms(_floats(model(*inputs.args, **inputs.kwargs))[0])
    finally:
        for norm in norms:
            norm.training = True


def _backward(
    model: nn.Module,
    inputs: Inputs,
    outputs: list[Tensor],
    wanted: dict[str, Tensor],
    found: Probe,
    twins: tuple[str, ...],
    scales: set[str],
) -> None:
    differentiable = [one for one in outputs if one.requires_grad]
    if not differentiable:
        found.unusual.append("its outputs carry no gradient")
        return
    found.uses = uses_of(differentiable, wanted, scales)
    grads = _gradients(differentiable, wanted)
    found.gradients = {name: None if grad is None else rms(grad) for name, grad in grads.items()}
    from .likeness import rows_of

    for name in twins:
        grad = grads.get(name)
        if grad is not None and grad.dim() >= 2 and grad.shape[0] > 1:
            found.alike[name] = rows_of((grad.to_dense() if grad.is_sparse else grad).flatten(1)).n_duplicates
    found.after = {name: size for name, size in found.gradients.items() if size == 0.0}
    del outputs, differentiable
    for turn in range(_TURNS):  # each step wakes what lies one zero factor further back
        if not found.after:
            return
        _step(wanted, grads)
        other = inputs if turn % 2 else _other(inputs)
        try:
            again = [one for one in _floats(model(*other.args, **other.kwargs)) if one.requires_grad]
            grads = _gradients(again, wanted)
        except (Exception, SystemExit) as error:  # a model may raise anything, on other inputs too
            found.unusual.append(f"the second pass raises {type(error).__name__}: {first_line(error)}")
            found.after = {}
            return
        left = {name: size for name in found.after if (size := _rms_or_none(grads[name])) == 0.0}
        if turn and len(left) == len(found.after):
            return
        found.after = left


_TURNS = 4


def _step(wanted: Mapping[str, Tensor], grads: Mapping[str, Tensor | None]) -> None:
    """A step of 1 % of each tensor's size against its gradient."""
    with torch.no_grad():
        for name, one in wanted.items():
            grad = grads[name]
            size = 0.0 if grad is None else rms(grad)
            if grad is not None and size > 0 and math.isfinite(size):
                one.add_(grad, alpha=-0.01 * (rms(one) or 1.0) / size)


def _rms_or_none(grad: Tensor | None) -> float | None:
    return None if grad is None else rms(grad)


def _other(inputs: Inputs) -> Inputs:
    return Inputs(tuple(map(_another, inputs.args)), {k: _another(v) for k, v in inputs.kwargs.items()}, inputs.how)


def _gradients(outputs: list[Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor | None]:
    total = sum((one.float() * torch.randn(one.shape).to(one.device)).sum() for one in outputs)
    assert isinstance(total, Tensor)
    grads = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
    return dict(zip(wanted, grads, strict=True))


def _another(value: Any) -> Any:
    """A second input like the first: its samples in another order, negated where they are numbers."""
    if not isinstance(value, Tensor) or not value.dim():
        return value
    return -value.flip(0) if value.is_floating_point() else value.flip(0)


def names_of(model: nn.Module) -> dict[nn.Module, str]:
    """Module -> its first name."""
    return {module: name for name, module in reversed(list(model.named_modules()))}


@contextlib.contextmanager
def _listening(model: nn.Module, signals: list[Signal]) -> Iterator[None]:
    names = names_of(model)
    handles = []

    def heard(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        out = next(iter(_floats(output)), None)
        if out is None or not out.numel():
            return
        with torch.no_grad():
            signal = _signal(names[module], module, len(signals), args, out)
        signals.append(signal)
        if out.requires_grad:

            def came_back(grad: Tensor) -> None:
                signal.grad_rms = rms(grad)

            out.register_hook(came_back)

    for module in names:
        if not module._modules or isinstance(module, nn.MultiheadAttention):
            handles.append(module.register_forward_hook(heard))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


_RECTIFIERS = ("ReLU", "ReLU6")
_GATES = ("Sigmoid", "Tanh", "Hardsigmoid", "Softsign")


def _signal(name: str, module: nn.Module, order: int, args: tuple[Any, ...], out: Tensor) -> Signal:
    kind = type(module).__name__
    x = out.detach().float()
    low, high = (float(end) for end in torch.aminmax(x))
    finite = math.isfinite(low) and math.isfinite(high)
    largest = max(abs(low), abs(high)) if finite else float(x.abs().max())
    signal = Signal(name, kind, order, rms_within(x, largest), float(x.mean()), largest, finite)
    first = next((a for a in args if isinstance(a, Tensor) and a.is_floating_point()), None)
    if first is not None and (kind in _GATES or not finite):
        signal.input_rms = rms(first)
        if kind in _GATES and first.numel():
            signal.saturated = float((first.detach().abs() > 4).float().mean())
    if x.dim() >= 2 and x.shape[0] >= 2 and signal.rms > 0:
        signal.cosine = cosine(x[0], x[1])
    if kind in _RECTIFIERS:
        axis = 1 if x.dim() > 3 else x.dim() - 1
        rest = [i for i in range(x.dim()) if i != axis]
        signal.units, signal.positions = x.shape[axis], x.numel() // max(x.shape[axis], 1)
        signal.dead_units = int((x.amax(rest) == 0).sum()) if rest and low == 0 else 0
    return signal


@contextlib.contextmanager
def _as_it_was(model: nn.Module) -> Iterator[None]:
    """In probing mode inside; modes, momenta, parameters, buffers and plain attributes (a cache of a forward pass) as before after it."""
    modes = [(module, module.training) for module in model.modules()]
    norms = [module for module, _ in modes if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta: list[tuple[Any, float | None]] = [(module, module.momentum) for module in norms]
    tensors = [*model.parameters(), *model.buffers()]
    attributes = [(module.__dict__, dict(module.__dict__)) for module, _ in modes]
    kept = [(one, one.detach().clone(), one._version) for one in tensors if not one.is_meta]
    try:
        model.eval()
        for module, _ in momenta:
            module.training = module.track_running_stats or module.training
            module.momentum = 0.0
        yield
    finally:
        for now, before in attributes:
            for name in [name for name in now if name not in before]:
                del now[name]
            now.update(before)
        for module, mode in modes:
            module.training = mode
        for module, momentum in momenta:
            module.momentum = momentum
        with torch.no_grad():
            for one, copy, version in kept:
                if one._version != version:
                    one.copy_(copy)


def _floats(value: Any, depth: int = 0) -> list[Tensor]:
    """The tensors of floats in what a forward pass returns, in order."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    if depth > 4:
        return []
    if isinstance(value, Mapping):
        parts: Iterable[Any] = value.values()
    elif isinstance(value, (list, tuple)):
        parts = value
    elif hasattr(value, "__dataclass_fields__"):
        parts = vars(value).values()
    else:
        return []
    return [one for part in parts for one in _floats(part, depth + 1)]


def _first_cosine(inputs: Inputs) -> float:
    for value in (*inputs.args, *inputs.kwargs.values()):
        if isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 1 and value.shape[0] > 1:
            return cosine(value[0], value[1])
    return math.nan
