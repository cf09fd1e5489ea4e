"""A weight stored as (in, out) whose fan was read as (out, in).

What it does:
    Looks for Kaiming draws on weights that their module multiplies from the right, ``x @ W``, as transformers' ``Conv1D`` does.

Why it is bad:
    ``fan_in`` is then the number of outputs; the std is wrong by √(in / out).

Example:
    class Right(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(32, 128))
            nn.init.kaiming_normal_(self.weight)

        def forward(self, x):
            return x @ self.weight

    @initium.module(Right)
    def right(module):
        return {"weight": initium.Layout("weight", in_axes=(0,), out_axes=(1,))}

    inputs = torch.randn(4, 32)
    Model = Right

Use instead:
    class Right(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(32, 128))
            nn.init.kaiming_normal_(self.weight.T)

        def forward(self, x):
            return x @ self.weight

    @initium.module(Right)
    def right(module):
        return {"weight": initium.Layout("weight", in_axes=(0,), out_axes=(1,))}

    inputs = torch.randn(4, 32)
    Model = Right

Fix safety:
    safe: for new code.

References:
    pytorch/pytorch #129834
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn

from ..judge import by_shape
from ..measure.seen import Seen
from ..registry import Hit, check


@check("F007", "(in, out) weight read as (out, in)", "warning", level="static", needs=("construction", "model"), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    for one, call in by_shape(seen, ("kaiming",)):
        layout = one.layout
        if isinstance(one.module, nn.modules.conv._ConvNd) or layout.batch_axes:
            continue
        known = layout.role == "weight" and layout.in_axes == (0,)
        used = seen.probe is not None and one.name in seen.probe.uses.in_out
        if (known or used) and len(one.shape) == 2 and call.shape == one.shape and one.shape[0] != one.shape[1]:
            a, b = one.shape
            yield Hit(
                one.name,
                f"it is (in, out) = {a}×{b}, and {call.name} reads it as (out, in): the std is off by √({a}/{b}) = {math.sqrt(a / b):.2g}",
                f"nn.init.{call.name}(weight.T), or initium.initialize, which knows the layout",
                one.source,
            )
