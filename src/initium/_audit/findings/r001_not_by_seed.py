"""Values that torch's seed does not decide.

What it does:
    Builds the model a second time from the same seed and compares every tensor, and a third time from another seed: trained weights
    that were drawn at random and are the same again are a warning.

Why it is bad:
    No run can be repeated: numpy's or Python's own generator, the clock, or an unordered set has decided. Or runs with other seeds are no
    other runs: a generator with a seed of its own has drawn the weights.

Example:
    import os

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.shift = nn.Parameter(torch.tensor([float(b) for b in os.urandom(32)]) / 2550)

        def forward(self, x):
            return self.first(x) + self.shift

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.shift = nn.Parameter(torch.rand(32) / 10)

        def forward(self, x):
            return self.first(x) + self.shift

Fix safety:
    none: the code has to draw with torch.

References:
    Novartis/scar #97
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("R001", "not decided by torch's seed", "error", level="weights", needs=("rebuild",))
def find(seen: Seen) -> Iterator[Hit]:
    for name in seen.unlike_itself or ():
        yield Hit(
            name,
            "a second build from the same seed gives other values",
            "draw it with torch, or seed numpy's and Python's generators too",
            seen.tensors[name].source,
        )
    for name in seen.unmoved or ():
        yield Hit(
            name,
            "it is drawn at random, and a build from another seed gives the same values",
            "draw it with torch's own generator, or take the generator's seed from outside",
            seen.tensors[name].source,
            severity="warning",
        )
