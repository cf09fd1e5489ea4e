"""Units of one layer that start with the same weights.

What it does:
    Compares the rows of each random weight matrix, bit by bit.

Why it is bad:
    Two units with equal incoming and outgoing weights get equal gradients for ever: the layer is narrower than it looks.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32, bias=False)
            with torch.no_grad():
                self.first.weight.copy_(nn.init.normal_(torch.empty(8, 32), std=0.2).repeat(4, 1))

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32, bias=False)
            nn.init.normal_(self.first.weight, std=0.2)

        def forward(self, x):
            return self.first(x)

Fix safety:
    unsafe: a tiled filter may be meant, e.g. one inflated from two to three dimensions.

References:
    widening a layer by copying its units, without the noise that Net2Net adds
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..measure.seen import Seen
from ..registry import Hit, check


@check("Y002", "units start identical", "error", level="weights", fix="unsafe", explains=("G005",))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.weights:
        rows = one.rows
        if rows is None or rows.columns < 8 or not rows.n_duplicates or not one.random:
            continue
        if one.layout.batch_axes or (one.trace is not None and one.trace.law is not None and one.trace.law.kind == "other"):
            continue
        if one.moments is not None and one.moments.zeros > one.moments.size // 2:
            continue
        if _beside(seen, one.name):
            continue  # ICNR: the rows that pixel_shuffle lays side by side begin alike
        a, b = rows.duplicates[0]
        yield Hit(
            one.name,
            f"{rows.n_duplicates:,} of its {rows.rows:,} rows repeat another, the first are rows {a} and {b}",
            "draw every row by itself",
            one.source,
        )


def _beside(seen: Seen, name: str) -> bool:
    if seen.probe is not None and seen.probe.uses.read:
        return name in seen.probe.uses.shuffled
    return any(isinstance(module, nn.PixelShuffle) for _, module in seen.modules()) and len(seen.tensors[name].shape) == 4
