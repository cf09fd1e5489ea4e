"""Weights that were drawn in bfloat16 or float16 instead of drawn in float32 and rounded.

What it does:
    Looks at the dtype of each tensor's last draw.

Why it is bad:
    A sampler that works in 8 bits of mantissa has coarse tails and, with older kernels, a wrong variance.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64, dtype=torch.bfloat16)

        def forward(self, x):
            return self.first(x.bfloat16())

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            self.to(torch.bfloat16)

        def forward(self, x):
            return self.first(x.bfloat16())

Fix safety:
    safe: initium draws in float32 and rounds once.

References:
    pytorch/pytorch #96947, #166853
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..measure.seen import Seen
from ..registry import Hit, check


@check("N004", "drawn in low precision", "info", level="static", preview=True, needs=("construction", "model"), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        write = one.write
        if write is not None and write.random and write.op in ("normal_", "uniform_") and not one.is_buffer:
            if write.dtype in (torch.bfloat16, torch.float16):
                name = str(write.dtype).removeprefix("torch.")
                yield Hit(
                    one.name, f"it was drawn in {name}", "draw in float32 and cast, or initium.build(…, dtype=…)", one.source
                )
