"""A tensor that is still on meta, or lazy: it has no values.

What it does:
    Lists parameters and buffers on the meta device, and lazy ones that have seen no input yet.

Why it is bad:
    An optimiser built now holds tensors that will be replaced; a checkpoint saved now holds nothing. A part that was built under
    ``torch.device("meta")`` and forgotten shows only at the first forward pass that reaches it.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            with torch.device("meta"):
                self.first = nn.Linear(32, 32)
            self.second = nn.Linear(32, 32)

        def forward(self, x):
            return self.second(self.first(x))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.second = nn.Linear(32, 32)

        def forward(self, x):
            return self.second(self.first(x))

Fix safety:
    none: ``plan.apply`` fills a model that is meant to be on meta, after ``to_empty``.

References:
    pytorch/pytorch #125861
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("U005", "still on meta or lazy", "error", level="static")
def find(seen: Seen) -> Iterator[Hit]:
    for name in seen.notes.get("lazy", ()):
        yield Hit(name, "it is lazy and has no shape yet", "run one forward pass before anything looks at the parameters")
    for one in seen.tensors.values():
        if one.slot is not None and one.slot.tensor.is_meta:
            yield Hit(
                one.name,
                "it is on meta: it has a shape and no values",
                "build it off meta, or model.to_empty(device=…) and then plan.apply(model)",
                one.source,
            )
