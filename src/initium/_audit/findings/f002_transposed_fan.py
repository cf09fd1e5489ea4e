"""A transposed convolution whose fans were swapped.

What it does:
    Looks for Kaiming draws on transposed convolutions with unequal channels.

Why it is bad:
    Their weight is (in, out, …): torch's ``fan_in`` reads the outputs. The std is wrong by √(in / out).

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(64, 8, 2, stride=2)
            nn.init.kaiming_normal_(self.up.weight)

        def forward(self, x):
            return self.up(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(64, 8, 2, stride=2)
            nn.init.normal_(self.up.weight, std=(2 / 64) ** 0.5)

        def forward(self, x):
            return self.up(x)

Fix safety:
    safe: for new code.

References:
    pytorch/pytorch #7865
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn

from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "F002", "fans of a transposed convolution swapped", "warning", level="static", needs=("construction", "model"), fix="safe"
)
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        module, call = one.module, one.call
        if not isinstance(module, nn.modules.conv._ConvNd) or not module.transposed or one.local != "weight" or call is None:
            continue
        a, b = module.in_channels // module.groups, module.out_channels // module.groups
        if call.said.get("mode") == "fan_out":  # torch then reads the first axis, all inputs; an input goes to b outputs
            a, b = b, module.in_channels
        if call.name.startswith("kaiming") and not call.by_module and a != b:
            yield Hit(
                one.name,
                f"its weight is (in, out, …), and {call.name} reads it as (out, in, …): the std is off by √({a}/{b}) = {math.sqrt(a / b):.2g}",
                "initium.initialize knows the layout; with torch.nn.init use the other mode",
                one.source,
            )
