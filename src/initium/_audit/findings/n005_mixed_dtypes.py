"""Parameters of different floating dtypes in one module.

What it does:
    Compares the dtypes of the floating parameters that one module owns.

Why it is bad:
    It is what a cast that missed a parameter leaves, and fails in the first product without autocast.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(32, 32) / 6)
            self.bias = nn.Parameter(torch.zeros(32, dtype=torch.float64))

        def forward(self, x):
            return x @ self.weight + self.bias

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(32, 32) / 6)
            self.bias = nn.Parameter(torch.zeros(32))

        def forward(self, x):
            return x @ self.weight + self.bias

Fix safety:
    none: one of the two is meant.

References:
    partial ``.half()``
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("N005", "mixed dtypes in one module", "info", level="static", needs=("model",))
def find(seen: Seen) -> Iterator[Hit]:
    for owner, tensors in seen.by_owner.items():
        kinds = {
            str(one.slot.dtype).removeprefix("torch."): one.name
            for one in tensors
            if one.slot is not None and not one.is_buffer and not one.original and one.slot.dtype.is_floating_point
        }
        if len(kinds) > 1:
            said = ", ".join(f"{name.rpartition('.')[2]} is {kind}" for kind, name in kinds.items())
            yield Hit(owner or "the model's own tensors", said, "give them one dtype", names=tuple(kinds.values()))
