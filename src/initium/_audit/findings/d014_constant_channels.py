"""Channels that are the same everywhere.

What it does:
    Of convolutions and normalisations, the share of channels that do not vary over samples and places; more than half of 16 or more is reported,
    unless they are 0.

Why it is bad:
    Such a channel carries its bias and nothing else: what comes before it is dead or constant.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3)
            self.skip = nn.Conv2d(3, 32, 5)
            nn.init.constant_(self.first.bias, -1.0)
            with torch.no_grad():
                self.first.weight.mul_(1e-3)

        def forward(self, x):
            return self.skip(x) + self.second(self.first(x).clamp(0, 6))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3)
            self.skip = nn.Conv2d(3, 32, 5)

        def forward(self, x):
            return self.skip(x) + self.second(self.first(x).clamp(0, 6))

Fix safety:
    none: it depends on what comes before.

References:
    a rectifier that is shut, seen from behind: here a clamp, which D010 does not look at
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("D014", "constant channels", "info", level="forward", preview=True, needs=("within",))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.within.channels:
        if one.units >= 16 and one.positions >= 64 and one.flat > one.units / 2:
            yield Hit(
                one.name,
                f"{one.flat} of its {one.units} channels are constant over {one.positions:,} places",
                "look at what comes in",
            )
            return
