"""Values that torch's seed does not decide.

What it does:
    Builds the model a second time from the same seed and compares every tensor.

Why it is bad:
    No run can be repeated. numpy's or Python's own generator, the clock, or an unordered set has decided.

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
