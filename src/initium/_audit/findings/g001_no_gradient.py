"""A parameter that no gradient reaches.

What it does:
    One backward pass from all outputs; lists parameters that get none.

Why it is bad:
    It is not trained, and DistributedDataParallel refuses it. With other inputs (labels, images, a second branch) it may be used.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.forgotten = nn.Linear(32, 32)

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)

        def forward(self, x):
            return self.first(x)

Fix safety:
    none: take it out, or see which input uses it.

References:
    DDP's "parameters that were not used in producing loss"
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("G001", "no gradient reaches it", "info", level="grad")
def find(seen: Seen) -> Iterator[Hit]:
    for name, rms in (seen.probe.gradients if seen.probe is not None else {}).items():
        if rms is None:
            yield Hit(name, "no gradient reaches it on this input", "take it out, or see which input uses it")
