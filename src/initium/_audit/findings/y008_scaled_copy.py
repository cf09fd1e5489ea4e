"""Weights that are a copy of others up to a factor.

What it does:
    Correlates every two random tensors of one shape, over up to 4,096 of their elements. Independent draws correlate by 1/√n; beyond 0.9 one
    is the other times a number.

Why it is bad:
    The layers start as one layer and differ by a factor only. It is what a seed set before every layer leaves behind where each has a std
    of its own, and Y001, which compares bits, does not see it.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(32, 32), nn.Linear(32, 32)
            with torch.no_grad():
                self.second.weight.copy_(self.first.weight * -0.5)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(32, 32), nn.Linear(32, 32)
            nn.init.normal_(self.second.weight, std=0.05)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

Fix safety:
    unsafe: rarely, a mirrored copy is meant (concatenated ReLU).

References:
    ``torch.manual_seed`` before each layer of a depth-scaled stack; mirrored ensembles
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..measure.seen import Seen, TensorSeen
from ..registry import Hit, check

_MOST = 1000  # tensors of one shape that are compared


def _copies(members: list[TensorSeen]) -> Iterator[Hit]:
    samples = torch.stack([one.moments.sample for one in members if one.moments is not None])
    samples = samples - samples.mean(1, keepdim=True)
    samples = samples / samples.norm(dim=1, keepdim=True)
    alike = (samples @ samples.T).triu(1)
    for i, j in (alike.abs() > 0.9).nonzero().tolist():
        first, second = members[i], members[j]
        assert first.moments is not None
        assert second.moments is not None
        if first.moments.mark == second.moments.mark or _frozen(first) or _frozen(second):
            continue  # equal, which Y001 says, or a target that follows
        factor = second.moments.std / first.moments.std * (1 if alike[i, j] > 0 else -1)
        yield Hit(
            second.name,
            f"it is {first.name} times {factor:.3g} (correlation {float(alike[i, j]):.4f})",
            "draw each by itself; seed once, before the model is built",
            second.source,
            names=(first.name, second.name),
        )


def _frozen(one: TensorSeen) -> bool:
    return one.slot is not None and not one.slot.tensor.requires_grad


@check("Y008", "a copy up to a factor", "error", level="weights", fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    by_shape: dict[tuple[int, ...], list[TensorSeen]] = {}
    for one in seen.parameters:
        m = one.moments
        if m is not None and m.size >= 64 and m.std > 0 and one.random and not one.computed:
            by_shape.setdefault(one.shape, []).append(one)
    for members in by_shape.values():
        if len(members) > 1:
            yield from _copies(members[:_MOST])
