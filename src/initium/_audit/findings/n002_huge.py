"""A weight beyond 10,000.

What it does:
    Looks for trained parameters with values over 1e4.

Why it is bad:
    It overflows fp16 in the first product, and its gradient is as large. No initialisation needs it.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.scale = nn.Parameter(torch.full((32,), 1e6))

        def forward(self, x):
            return self.first(x) * self.scale

    level = "weights"

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.scale = nn.Parameter(torch.full((32,), 1.0))

        def forward(self, x):
            return self.first(x) * self.scale

Fix safety:
    none: what computes it has to change.

References:
    huggingface/transformers #35437
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("N002", "huge weight", "warning", level="weights", explains=("P001", "N01"))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.parameters:
        m = one.moments
        if m is not None and m.size and 1e4 < m.largest <= 1e30 and one.slot is not None and one.slot.tensor.requires_grad:
            yield Hit(one.name, f"its largest value is {m.largest:.3g}", "look at the line that computes it", one.source)
