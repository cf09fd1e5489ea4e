"""A parameter whose elements share memory.

What it does:
    Looks for strides of 0 (an expanded tensor) in parameters.

Why it is bad:
    An optimiser's update of one element changes others, and in-place updates raise or are undefined.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.scale = nn.Parameter(torch.ones(1, 32).expand(4, 32))

        def forward(self, x):
            return self.first(x) * self.scale.sum(0)

    level = "weights"

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.scale = nn.Parameter(torch.ones(1, 32).expand(4, 32).clone())

        def forward(self, x):
            return self.first(x) * self.scale.sum(0)

    level = "weights"

Fix safety:
    none: .clone() the expanded tensor, or keep the small one.

References:
    ``expand`` before nn.Parameter
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..measure.seen import Seen
from ..registry import Hit, check


@check("T004", "elements share memory", "error", level="static", needs=("model",), explains=("Y0", "D0"))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        if one.slot is None or one.is_buffer or one.computed or one.slot.tensor.layout is not torch.strided:
            continue
        tensor = one.slot.tensor
        if any(step == 0 and size > 1 for step, size in zip(tensor.stride(), tensor.shape, strict=True)):
            shape = "×".join(map(str, one.shape))
            yield Hit(
                one.name,
                f"it is an expanded view: its {shape} elements share memory",
                "write .clone() after .expand(…)",
                one.source,
            )
