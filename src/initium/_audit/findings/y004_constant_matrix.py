"""A weight matrix of one value.

What it does:
    Looks for trained weight matrices whose elements are all equal and not 0.

Why it is bad:
    All units compute the same and get the same gradient: a layer of any width has the power of one unit.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            nn.init.constant_(self.first.weight, 0.1)

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            nn.init.xavier_uniform_(self.first.weight)

        def forward(self, x):
            return self.first(x)

Fix safety:
    unsafe: a weight that averages may be meant as such.

References:
    the first lesson of every course
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("Y004", "constant weight matrix", "error", level="weights", fix="unsafe", explains=("G005", "D0", "P005"))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.weights:
        fans, m = one.fans, one.moments
        if m is None or not m.constant or m.low == 0 or fans is None or min(fans) < 2 or one.computed:
            continue
        if one.slot is None or not one.slot.tensor.requires_grad or one.shape[0] < 2 or one.shape[1] < 2:
            continue
        yield Hit(
            one.name,
            f"all its {m.size:,} elements are {m.low:.4g}: its {one.shape[0]} units compute the same and get the same gradient",
            "draw it: nn.init.kaiming_normal_, or give it a rule",
            one.source,
        )
