"""Numbers of a state-space layer that are not those it works with.

What it does:
    In modules that own an A_log: its rows are log(1), …, log(N), or between log(0+) and log(16) where there is one a head; softplus(dt_bias), the
    time step, lies between 0.0001 and 0.2; D is 1.

Why it is bad:
    A_log drawn like a weight forgets within a few steps, all states alike. A dt_bias of 1 is a step of 1.3, ten times the longest: the state is
    wiped at every token.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(32, 32)
            self.A_log = nn.Parameter(torch.randn(32, 16) * 0.02)

        def forward(self, x):
            return (self.inner(x)[..., None] * -self.A_log.exp()).sum(-1)

    inputs = torch.randn(2, 12, 32)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(32, 32)
            self.A_log = nn.Parameter(torch.log(torch.arange(1, 17).float()).repeat(32, 1))

        def forward(self, x):
            return (self.inner(x)[..., None] * -self.A_log.exp()).sum(-1)

    inputs = torch.randn(2, 12, 32)

Fix safety:
    unsafe: a layer of one's own may mean other numbers.

References:
    Gu and Dao 2023; transformers' Qwen3-Next (dt_bias of 1: a step of 1.3); huggingface/transformers #45591; fla-org/flash-linear-attention #367
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..measure.seen import Seen, TensorSeen
from ..measure.watch import Write
from ..registry import Hit, check


def _writes(one: TensorSeen) -> list[Write]:
    return one.trace.writes if one.trace is not None else []


def _a_log(value: Tensor) -> str:
    a = value.exp()
    if value.dim() == 2 and value.shape[1] > 1:
        wanted = torch.arange(1, value.shape[1] + 1, device=value.device)
        if float((a - wanted).abs().max()) > 0.01 * value.shape[1]:
            return (
                f"its exponential is {float(a.mean()):.3g} ± {float(a.std()):.2g}, and a row is to be 1, 2, …, {value.shape[1]}"
            )
    elif float(a.max()) > 17 or (value.numel() > 4 and float(a.std()) < 0.1 and float(a.mean()) < 1.1):
        return f"its exponential is {float(a.mean()):.3g} ± {float(a.std()):.2g}, and is to spread over 1 to 16"
    return ""


def _dt_bias(value: Tensor) -> str:
    step = torch.nn.functional.softplus(value)
    if float(step.max()) > 0.2 or float(step.min()) < 1e-5:
        return f"its time step, softplus of it, is {float(step.min()):.2g} to {float(step.max()):.2g}"
    return ""


def _d(value: Tensor) -> str:
    return "" if bool((value == 1).all()) else f"it is {float(value.mean()):.3g} ± {float(value.std()):.2g}, and starts at 1"


@check("C010", "state-space numbers", "warning", level="weights", preview=True, fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    for tensors in seen.by_owner.values():
        own = {one.local: one for one in tensors if one.tensor is not None and not one.unfilled and one.tensor.numel()}
        if "A_log" not in own or any(write.loaded for write in _writes(own["A_log"])):
            continue
        for local, wrong in (("A_log", _a_log), ("dt_bias", _dt_bias), ("D", _d)):
            one = own.get(local)
            said = wrong(one.tensor.detach().float()) if one is not None and one.tensor is not None else ""
            if one is not None and said:
                yield Hit(
                    one.name, said, "A_log = log(1 … N), dt_bias = softplus⁻¹(dt) with dt in [0.001, 0.1], D = 1", one.source
                )
