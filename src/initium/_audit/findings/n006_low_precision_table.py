"""A table that was computed in bfloat16 or float16.

What it does:
    Follows each buffer that is not random back to what it was computed from, and reports powers, exponentials, sines and the like that ran in a low
    precision.

Why it is bad:
    A rotary frequency in bfloat16 is off by up to 0.4 %: at position 1,000 the angle is off by whole radians. Compute in float32, and cast the
    result.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            steps = torch.arange(16, dtype=torch.bfloat16)
            self.register_buffer("frequencies", 1.0 / 10000 ** (steps / 16), persistent=False)

        def forward(self, x):
            return self.first(x) + torch.cat([self.frequencies.sin(), self.frequencies.cos()]).float()

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            steps = torch.arange(16, dtype=torch.float32)
            self.register_buffer("frequencies", 1.0 / 10000 ** (steps / 16), persistent=False)

        def forward(self, x):
            return self.first(x) + torch.cat([self.frequencies.sin(), self.frequencies.cos()]).float()

Fix safety:
    none: compute it in float32.

References:
    rotary embeddings built under a default dtype of bfloat16
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..measure.seen import Seen
from ..measure.watch import Trace, Write
from ..registry import Hit, check

_LOSE = {"pow", "exp", "exp2", "log", "sin", "cos", "reciprocal", "div", "true_divide", "rsqrt", "sqrt", "cumsum", "outer"}


def _behind(trace: Trace) -> Iterator[Write]:
    """All writes that its values come from."""
    seen, open_ = {trace}, [trace]
    while open_:
        one = open_.pop()
        yield from one.writes
        for parent in one.parents:
            if parent not in seen:
                seen.add(parent)
                open_.append(parent)


def _is_low(write: Write) -> bool:
    low = write.dtype in (torch.bfloat16, torch.float16)
    return low and write.op.rstrip("_").split(".")[0].lower() in _LOSE and len(write.shape) > 0 and max(write.shape) > 1


@check("N006", "table computed in low precision", "error", level="static", preview=True, needs=("construction", "model"))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        if not one.is_buffer or one.trace is None or one.trace.random or not one.trace.writes:
            continue
        found = next((write for write in _behind(one.trace) if _is_low(write)), None)
        if found is not None:
            yield Hit(
                one.name,
                f"{found.op} computed it in {str(found.dtype).removeprefix('torch.')}",
                "compute it in float32 and cast the result",
                str(found.site),
            )
