"""Activations close to float16's largest number.

What it does:
    In a model that has float16 weights, or under float16 autocast, reports the first activation beyond 6,550, a tenth of what float16 holds.

Why it is bad:
    65,504 is the end. What is within ten of it at the start overflows in training, and its square overflows now.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            nn.init.normal_(self.first.weight, std=1.0)
            self.second = nn.Linear(64, 64)
            nn.init.normal_(self.second.weight, std=0.5)
            self.half()

        def forward(self, x):
            return self.second(self.first(x.half() * 100))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            self.second = nn.Linear(64, 64)
            for layer in (self.first, self.second):
                nn.init.normal_(layer.weight, std=0.125)
            self.half()

        def forward(self, x):
            return self.second(self.first(x.half() * 100))

Fix safety:
    none: bfloat16 has the range of float32.

References:
    Micikevicius and others 2018
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..measure.seen import Seen
from ..registry import Hit, check


@check("N012", "little headroom in float16", "warning", level="forward", preview=True, explains=("P001",))
def find(seen: Seen) -> Iterator[Hit]:
    half = any(one.slot is not None and one.slot.dtype == torch.float16 for one in seen.tensors.values())
    if not half and not (torch.is_autocast_enabled() and torch.get_autocast_dtype("cpu") == torch.float16):
        return
    for signal in seen.signals:
        if signal.finite and signal.largest > 6550:
            yield Hit(
                signal.name,
                f"its largest output is {signal.largest:,.0f}, and float16 ends at 65,504",
                "a smaller gain before it, normalisation, or bfloat16",
            )
            return
