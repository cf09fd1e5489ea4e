"""A tensor of which a part was filled and the rest never written.

What it does:
    Looks for tensors in which some elements still hold the pattern of unfilled memory, and says where they lie.

Why it is bad:
    The part that was left out, a padding, the last columns of a table, is whatever was in memory.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(16, 32))
            nn.init.normal_(self.weight[:, :24], std=0.1)

        def forward(self, x):
            return x @ self.weight

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(16, 32))
            nn.init.normal_(self.weight[:, :24], std=0.1)

        def forward(self, x):
            return x @ self.weight

Fix safety:
    unsafe: the rest may be meant to be 0, or drawn like the part that was filled.

References:
    the pattern ``torch.empty(n, m)[:, :k].normal_()``
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.canary import found
from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "U003",
    "tensor partly filled",
    "error",
    level="static",
    needs=("construction", "model"),
    fix="unsafe",
    explains=("N0", "G0", "D0", "S0", "P0"),
)
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        if one.tensor is None or one.derived_garbage or not 0 < one.unfilled < one.tensor.numel():
            continue
        holes = found(one.tensor)
        box = []
        for axis, size in enumerate(holes.shape):
            others = [i for i in range(holes.dim()) if i != axis]
            where = (holes.any(dim=others) if others else holes).nonzero().flatten()
            low, high = int(where[0]), int(where[-1]) + 1
            box.append(":" if (low, high) == (0, size) else f"{low}:{high}")
        first = [int(i) for i in holes.nonzero()[0]]
        holed = f"those in [{', '.join(box)}]" if set(box) != {":"} else f"the first is at {first}"
        yield Hit(
            one.name,
            f"{one.unfilled:,} of its {one.tensor.numel():,} elements are never written: {holed}",
            "fill the whole tensor first, e.g. begin with torch.zeros instead of torch.empty",
            one.source,
        )
