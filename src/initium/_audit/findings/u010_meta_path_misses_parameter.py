"""Built on meta and filled by the model's own method, a parameter stays unfilled.

What it does:
    Builds the model on meta, moves it by ``to_empty``, calls its ``init_weights`` (or ``reset_parameters``), and looks for memory that
    nobody wrote.

Why it is bad:
    This is how FSDP and large-model loaders initialise. What that method leaves out is right in tests, which build on the CPU, and
    garbage in the large run.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.scale = nn.Parameter(torch.ones(32))

        def init_weights(self):
            self.first.reset_parameters()

        def forward(self, x):
            return self.first(x) * self.scale

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.scale = nn.Parameter(torch.ones(32))

        def init_weights(self):
            self.first.reset_parameters()
            nn.init.ones_(self.scale)

        def forward(self, x):
            return self.first(x) * self.scale

Fix safety:
    unsafe: ``initium.capture`` gives a plan of the constructor itself, which leaves nothing out.

References:
    huggingface/transformers #44575; mosaicml/llm-foundry #1745
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("U010", "the way over meta misses a parameter", "warning", level="static", preview=True, needs=("meta",), fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    names, way = seen.missed or ((), "")
    for name in names:
        one = seen.tensors.get(name)
        if one is not None and not one.is_buffer:
            yield Hit(
                name,
                f"built on meta, then to_empty and {way}: this parameter is never filled",
                f"fill it in {way} too, or plan.apply(model) with the plan of initium.capture",
                one.source,
            )
