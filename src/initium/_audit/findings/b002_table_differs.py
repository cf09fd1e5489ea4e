"""A table that comes out otherwise on the way over meta.

What it does:
    Builds the model on meta as well, fills it by its own method, and compares buffers that are not random with those of the constructor.

Why it is bad:
    Two places compute the same table and no longer agree: what a large run trains with, built on meta, is not what the small test had.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.register_buffer("frequencies", 10000.0 ** -(torch.arange(32) / 32), persistent=False)

        def reset_parameters(self):
            self.first.reset_parameters()
            self.frequencies.copy_(500000.0 ** -(torch.arange(32) / 32))

        def forward(self, x):
            return self.first(x) * self.frequencies.cos()

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.register_buffer("frequencies", self._frequencies(), persistent=False)

        def _frequencies(self):
            return 10000.0 ** -(torch.arange(32) / 32)

        def reset_parameters(self):
            self.first.reset_parameters()
            self.frequencies.copy_(self._frequencies())

        def forward(self, x):
            return self.first(x) * self.frequencies.cos()

Fix safety:
    none: one function for both.

References:
    rotary frequencies of models that are built on meta: pytorch/torchtitan #4783
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("B002", "table differs on the way over meta", "error", level="weights", preview=True, needs=("meta",))
def find(seen: Seen) -> Iterator[Hit]:
    way = seen.missed[1] if seen.missed is not None else ""
    for name, most in seen.otherwise_on_meta.items():
        one = seen.tensors[name]
        yield Hit(
            name,
            f"built on meta and filled by {way}, it differs by up to {most:.3g}",
            "compute it in one place, and call that from both",
            one.source,
        )
