"""A random buffer that is not saved.

What it does:
    Looks for non-persistent buffers that were drawn from a generator.

Why it is bad:
    The checkpoint does not hold it, so a reloaded model computes something else.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.register_buffer("features", torch.randn(32, 32) / 6, persistent=False)

        def forward(self, x):
            return self.first(x) @ self.features

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.register_buffer("features", torch.randn(32, 32) / 6)

        def forward(self, x):
            return self.first(x) @ self.features

Fix safety:
    none: make it persistent.

References:
    random features of linear attention
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("B004", "random buffer is not saved", "warning", level="static", needs=("construction", "model"))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        if one.is_buffer and one.slot is not None and one.local in one.slot.module._non_persistent_buffers_set:
            if one.trace is not None and one.trace.random:
                yield Hit(
                    one.name,
                    "it is drawn at random and not saved: a reloaded model has other values",
                    "persistent=True",
                    one.source,
                )
