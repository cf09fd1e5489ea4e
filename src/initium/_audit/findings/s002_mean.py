"""Weights that are drawn around a mean that is not 0.

What it does:
    Looks for random weight matrices whose mean is more than a quarter of their std away from 0.

Why it is bad:
    ``nn.init.uniform_(w)`` and ``torch.rand`` draw from [0, 1): every unit then adds up its inputs with the same sign, the first singular value is
    √(fan_in · fan_out) / 2, and activations grow by fan_in / 2 a layer.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            nn.init.uniform_(self.first.weight, 0, 0.2)

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            nn.init.uniform_(self.first.weight, -0.2, 0.2)

        def forward(self, x):
            return self.first(x)

Fix safety:
    unsafe: a mixture of positive weights may be meant.

References:
    the default bounds of ``nn.init.uniform_`` are 0 and 1
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..judge import family_t
from ..measure.seen import Seen
from ..registry import Hit, check


@check("S002", "weights drawn around a mean that is not 0", "warning", level="weights", fix="unsafe", explains=("S023",))
def find(seen: Seen) -> Iterator[Hit]:
    count = len(seen.weights)
    for one in seen.weights:
        m = one.moments
        if m is None or m.size < 64 or m.constant or not one.random or one.computed:
            continue
        if one.law is not None and (one.law.kind == "other" or one.law.mean == 0):
            continue
        if abs(m.mean) > max(0.25 * m.std, family_t(count, m.size) * m.std / math.sqrt(m.size)) and m.zeros < m.size // 2:
            yield Hit(
                one.name,
                f"its mean is {m.mean:.3g}, {abs(m.mean) / m.std:.1f} of its std: its units all add their inputs with one sign",
                "draw it around 0: nn.init.uniform_(w, -b, b), or a normal",
                one.source,
            )
