"""A truncated normal whose bounds lie so far out that nothing is cut.

What it does:
    Looks for ``trunc_normal_`` calls whose nearer bound is more than six standard deviations away.

Why it is bad:
    ``a`` and ``b`` are absolute values, not multiples of ``std``: ``trunc_normal_(w, std=0.02)`` cuts at ±2, which is 100 σ. The law is a
    plain normal, with a slower kernel.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            nn.init.trunc_normal_(self.first.weight, std=0.02)

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            nn.init.trunc_normal_(self.first.weight, std=0.02, a=-0.04, b=0.04)

        def forward(self, x):
            return self.first(x)

Fix safety:
    safe: with bounds at 2 std the largest values are gone and nothing else changes.

References:
    open-mmlab/mmdetection #6432; mlcommons/algorithmic-efficiency #819
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("S004", "a truncation that cuts nothing", "info", level="static", needs=("construction", "model"), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        call = one.call
        if call is None or call.name != "trunc_normal_" or not isinstance(call.said.get("std"), (int, float)):
            continue
        said = call.said
        std, mean = float(said["std"]), float(said.get("mean", 0.0))
        if std <= 0:
            continue
        nearest = min(abs(float(said.get("a", -2.0)) - mean), abs(float(said.get("b", 2.0)) - mean)) / std
        if nearest > 6:
            yield Hit(
                one.name,
                f"trunc_normal_(std={std:.4g}) cuts at {nearest:.0f} std, so it cuts nothing: a and b are absolute values",
                "write a=-2*std, b=2*std",
                one.source,
            )
