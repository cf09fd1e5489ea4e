"""Running statistics that do not start at 0 and 1.

What it does:
    Reads ``running_mean``, ``running_var`` and ``num_batches_tracked`` of normalisation layers that were just built.

Why it is bad:
    Evaluation uses them from the first step on, and with a small momentum they are forgotten slowly.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.norm = nn.BatchNorm1d(32)
            nn.init.normal_(self.norm.running_mean)

        def forward(self, x):
            return self.norm(self.first(x))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.norm = nn.BatchNorm1d(32)

        def forward(self, x):
            return self.norm(self.first(x))

Fix safety:
    safe: norm.reset_running_stats().

References:
    an initialisation over ``state_dict()`` instead of ``parameters()``
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..measure.seen import Seen
from ..registry import Hit, check

_START = {"running_mean": 0.0, "running_var": 1.0, "num_batches_tracked": 0.0}


@check("B001", "running statistics not at their start", "warning", level="weights", needs=("construction",), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.sound:
        start, m = _START.get(one.local), one.moments
        if start is None or not one.is_buffer or m is None or not isinstance(one.module, nn.modules.batchnorm._NormBase):
            continue
        if any(write.loaded for write in one.trace.writes) if one.trace is not None else False:
            continue
        if not (m.constant and m.low == start):
            yield Hit(
                one.name,
                f"it holds {m.mean:.3g} ± {m.std:.2g} and starts at {start:g}",
                "norm.reset_running_stats()",
                one.source,
            )
