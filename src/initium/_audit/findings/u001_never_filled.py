"""A parameter that nobody ever wrote to holds whatever was in memory.

What it does:
    Every ``torch.empty`` of the constructor is given a pattern. A parameter that still holds nothing else at the end was never
    filled.

Why it is bad:
    The values are what the allocator left there: zeros on one run, NaN or 1e37 on another. The model trains or fails by luck, and the
    seed does not matter.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.scale = nn.Parameter(torch.empty(32))

        def forward(self, x):
            return self.first(x) * self.scale

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.scale = nn.Parameter(torch.ones(32))

        def forward(self, x):
            return self.first(x) * self.scale

Fix safety:
    unsafe: only its author knows what the parameter should be.

References:
    pytorch/torchtitan #2450; TransformerLens #902; openai/CLIP #15
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "U001",
    "parameter never filled",
    "error",
    level="static",
    needs=("construction", "model"),
    fix="unsafe",
    explains=("N0", "G0", "D0", "Y0"),
)
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        if not one.is_buffer and not one.derived_garbage and one.tensor is not None and one.unfilled == one.tensor.numel() > 0:
            yield Hit(
                one.name,
                f"nobody ever writes to it: its {one.unfilled:,} elements are whatever was in memory",
                f"fill it where it is made, e.g. nn.init.zeros_({one.local}), or give a rule for it: Rule({one.name!r}, …)",
                one.source,
            )
