"""A model whose weights are drawn more than once.

What it does:
    Counts the random numbers that the constructor draws, against those that are kept.

Why it is bad:
    It costs time, and every draw that is thrown away moves the generator: two versions of the code that end with the same laws have
    different weights.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            nn.init.normal_(self.first.weight, std=0.1)

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.utils.skip_init(nn.Linear, 64, 64)
            nn.init.normal_(self.first.weight, std=0.1)
            nn.init.zeros_(self.first.bias)

        def forward(self, x):
            return self.first(x)

Fix safety:
    none: ``initium.build`` draws each once.

References:
    pytorch/pytorch #29523; huggingface/transformers #21687
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("R003", "weights drawn twice", "info", level="static", preview=True, needs=("construction", "model"))
def find(seen: Seen) -> Iterator[Hit]:
    if seen.built is None:
        return
    kept = sum(one.tensor.numel() for one in seen.tensors.values() if one.tensor is not None and one.trace and one.trace.random)
    drawn = seen.built.watch.drawn
    if kept and drawn > 1.5 * kept:
        yield Hit(
            "",
            f"{drawn:,} random numbers are drawn and {kept:,} kept: {drawn / kept:.1f} times over",
            "initium.build draws each once",
        )
