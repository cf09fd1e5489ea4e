"""Are two models initialised alike? Constants equal, drawn tensors of one law: what every faithful capture is measured by."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from scipy import stats
from torch import Tensor, nn

import initium
from initium import Plan

_SAMPLE = 20_000
_ALPHA = 1e-9  # the chance that one comparison of two samples of the same law fails


class Holder(nn.Module):
    """A model whose constructor is a function of it."""

    def __init__(self, fill: Callable[[nn.Module], None]) -> None:
        super().__init__()
        fill(self)


def planned(fill: Callable[[nn.Module], None]) -> Plan:
    """The captured plan, after the built model was compared by law with the ordinary one, and by bits with the plan."""
    torch.manual_seed(1)
    _, plan = initium.capture(Holder, fill, seed=0)
    built = initium.build(Holder, fill, seed=0)
    assert differences(Holder(fill), built, plan) == []
    tensors = {**dict(built.named_parameters()), **dict(built.named_buffers())}
    for entry in plan.values():
        if entry.kind not in ("tied", "derived") and tensors[entry.key].is_floating_point():
            assert torch.equal(tensors[entry.key].detach().flatten(), plan.values(entry.name).to(entry.dtype)), entry.name
    return plan


def of(draw: Callable[[torch.Tensor], object], *shape: int) -> Plan:
    """The plan of one parameter ``w`` of that shape that ``draw`` fills."""

    def fill(module: nn.Module) -> None:
        module.w = nn.Parameter(torch.empty(shape or (200, 300)))
        with torch.no_grad():
            draw(module.w)

    return planned(fill)


def differences(ordinary: nn.Module, built: nn.Module, plan: initium.Plan) -> list[str]:
    """What the model built by the engine has other than the one built the ordinary way, a sentence each."""
    found = []
    a, b = _tensors(ordinary), _tensors(built)
    if list(a) != list(b):
        return [f"other tensors: {sorted(set(a) ^ set(b))[:5]}"]
    if _ties(ordinary) != _ties(built):
        found.append(f"other ties: {_ties(ordinary)} and {_ties(built)}")
    modes = [[m.training for m in model.modules()] for model in (ordinary, built)]
    if modes[0] != modes[1]:
        found.append("other training flags")
    kinds = {entry.key: entry.kind for entry in plan.values()}
    names = {entry.key: entry for entry in plan.values()}
    for key in a:
        kind = kinds[key]
        if kind == "tied":
            kind = plan[names[key].tied_to or ""].kind
        found += [f"{key} ({kind}): {reason}" for reason in _reasons(a[key], b[key], kind)]
    return found


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers(remove_duplicate=False))}


def _ties(model: nn.Module) -> list[list[str]]:
    groups: dict[int, list[str]] = {}
    for name, tensor in _tensors(model).items():
        if tensor.numel():
            groups.setdefault(tensor.data_ptr(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _reasons(a: Tensor, b: Tensor, kind: str) -> list[str]:
    if (a.shape, a.dtype, a.requires_grad) != (b.shape, b.dtype, b.requires_grad):
        return [f"{a.shape} {a.dtype} {a.requires_grad} and {b.shape} {b.dtype} {b.requires_grad}"]
    if a.stride() != b.stride():
        return [f"strides {a.stride()} and {b.stride()}"]
    a, b = a.detach().flatten(), b.detach().flatten()
    if kind == "constant" or not a.is_floating_point():
        return [] if torch.allclose(a, b, rtol=1e-6, atol=0, equal_nan=True) else [f"constants differ: {a[:3]} and {b[:3]}"]
    if not bool(torch.isfinite(b).all()):
        return ["not finite"]
    return _laws(a.double(), b.double())


def _laws(a: Tensor, b: Tensor) -> list[str]:
    n = a.numel()
    if n < 8:
        return []
    if bool((a == a[0]).all()) or bool((b == b[0]).all()):
        return [] if torch.equal(a, b) else [f"one is constant: {float(a[0])}, {float(b[0])}"]
    found = []
    spread = float(a.std())
    zero = [(x == 0).double().mean().item() for x in (a, b)]
    if abs(zero[0] - zero[1]) > 6 * math.sqrt(zero[0] * (1 - zero[0]) / n) + 8 / n:
        found.append(f"zeros {zero[0]:.4g} and {zero[1]:.4g}")
    gap = abs(float(a.mean() - b.mean()))
    if gap > 7 * spread * math.sqrt(2 / n) + 1e-12:
        found.append(f"means {float(a.mean()):.6g} and {float(b.mean()):.6g}")
    if n >= 256:
        fourth = float(((a - a.mean()) ** 4).mean()) / spread**4
        error = math.sqrt(max(fourth - 1, 0.1) / (2 * n))  # of a variance's relative error, for two samples
        if abs(float(b.std()) / spread - 1) > 7 * error + 1e-6:
            found.append(f"stds {spread:.6g} and {float(b.std()):.6g}")
        reach = float(a.abs().max()), float(b.abs().max())
        if not 0.5 < reach[1] / max(reach[0], 1e-30) < 2:
            found.append(f"largest {reach[0]:.6g} and {reach[1]:.6g}")
    step = max(n // _SAMPLE, 1)
    p = float(stats.ks_2samp(a[::step].numpy(), b[::step].numpy(), method="asymp").pvalue)
    if p < _ALPHA:
        found.append(f"Kolmogorov–Smirnov p = {p:.2g}")
    return found
