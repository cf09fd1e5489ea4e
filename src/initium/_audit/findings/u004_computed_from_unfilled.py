"""A tensor that was computed from memory nobody had filled.

What it does:
    Unfilled memory holds a NaN of its own; a tensor that is NaN and was computed from such memory is garbage too.

Why it is bad:
    The source may be filled later, and looks right; what was computed from it before stays garbage. A weight norm's ``g`` taken from
    an unfilled ``v`` is the usual case.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            v = torch.empty(16, 16)
            self.g = nn.Parameter(v.norm(dim=1))
            self.v = nn.Parameter(v)
            nn.init.normal_(self.v, std=0.1)

        def forward(self, x):
            return x @ self.v * self.g

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.v = nn.Parameter(torch.empty(16, 16))
            nn.init.normal_(self.v, std=0.1)
            self.g = nn.Parameter(self.v.detach().norm(dim=1))

        def forward(self, x):
            return x @ self.v * self.g

Fix safety:
    none: the order of the constructor's lines has to change.

References:
    weight normalisation of a weight that is filled afterwards
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "U004",
    "computed from unfilled memory",
    "error",
    level="weights",
    needs=("construction",),
    explains=("N0", "G0", "D0", "P0"),
)
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        if one.derived_garbage:
            yield Hit(
                one.name,
                "it was computed from memory that nobody had filled yet",
                "fill the source first, then compute from it",
                one.source,
            )
