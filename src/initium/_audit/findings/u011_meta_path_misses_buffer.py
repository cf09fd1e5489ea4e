"""Built on meta and filled by the model's own method, a buffer stays unfilled.

What it does:
    As U010, for buffers.

Why it is bad:
    A table that the constructor computes (rotary frequencies, a mask, window indices) is lost by ``to_empty`` and must be computed again.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.register_buffer("table", torch.linspace(0, 1, 32), persistent=False)

        def init_weights(self):
            self.first.reset_parameters()

        def forward(self, x):
            return self.first(x) * self.table

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.register_buffer("table", torch.linspace(0, 1, 32), persistent=False)

        def init_weights(self):
            self.first.reset_parameters()
            self.table = torch.linspace(0, 1, 32, device=self.table.device)

        def forward(self, x):
            return self.first(x) * self.table

Fix safety:
    none: only the code knows how the table is computed.

References:
    huggingface/transformers #48932; pytorch/torchtitan #4783
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("U011", "the way over meta misses a buffer", "warning", level="static", preview=True, needs=("meta",))
def find(seen: Seen) -> Iterator[Hit]:
    names, way = seen.missed or ((), "")
    for name in names:
        one = seen.tensors.get(name)
        if one is not None and one.is_buffer:
            yield Hit(
                name,
                f"built on meta, then to_empty and {way}: this buffer is never computed again",
                f"compute it in {way} too, or plan.apply(model) with the plan of initium.capture",
                one.source,
            )
