"""A buffer that nobody ever wrote to holds whatever was in memory.

What it does:
    Looks for buffers that still hold the pattern given to every ``torch.empty`` of the constructor, persistent or not.

Why it is bad:
    A buffer is read by every forward pass and saved with the model. A table of rotary frequencies that was never computed gives NaN,
    or, worse, plausible numbers.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.register_buffer("inv_freq", torch.empty(32), persistent=False)

        def forward(self, x):
            return self.first(x) * self.inv_freq

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.register_buffer("inv_freq", 1e4 ** -(torch.arange(32) / 32), persistent=False)

        def forward(self, x):
            return self.first(x) * self.inv_freq

Fix safety:
    none: only the code knows what the buffer holds.

References:
    pytorch/torchtitan #4783; huggingface/transformers #48892, #48932
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("U002", "buffer never filled", "error", level="static", needs=("construction", "model"), explains=("N0", "G0", "D0"))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        if one.is_buffer and not one.derived_garbage and one.tensor is not None and one.unfilled == one.tensor.numel() > 0:
            yield Hit(
                one.name,
                f"nobody ever writes to this buffer: its {one.unfilled:,} elements are whatever was in memory",
                "compute it where it is registered",
                one.source,
            )
