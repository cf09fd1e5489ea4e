"""Units that get the same gradient, and will stay equal.

What it does:
    Of weights whose rows repeat, or are all one value, compares the rows of the gradient.

Why it is bad:
    Equal units with equal gradients are one unit: no optimiser tells them apart.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Parameter(torch.full((16, 32), 0.1))
            self.first = nn.Linear(32, 32)

        def forward(self, x):
            return (self.first(x) @ self.mix.T).sum(-1)

    inputs = torch.randn(64, 32)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Parameter(torch.randn(16, 32) * 0.1)
            self.first = nn.Linear(32, 32)

        def forward(self, x):
            return (self.first(x) @ self.mix.T).sum(-1)

    inputs = torch.randn(64, 32)

Fix safety:
    unsafe: drawing them changes the start.

References:
    consequence of Y002 and Y004
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("G005", "units get equal gradients", "error", level="grad", fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    for name, count in (seen.probe.alike if seen.probe is not None else {}).items():
        one = seen.tensors.get(name)
        if one is None or one.shape[0] < 2 or 2 * count < one.shape[0] or one.layout.role in ("norm", "embedding"):
            continue
        if one.moments is None or one.moments.low == 0 or not one.moments.constant:
            continue
        yield Hit(
            name,
            f"its {one.shape[0]} rows are equal and get equal gradients: they stay equal",
            "draw them at random",
            one.source,
        )
