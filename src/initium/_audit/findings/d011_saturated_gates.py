"""Gates that are open or shut for good.

What it does:
    Share of the inputs of each Sigmoid and Tanh module beyond ±4; reports more than one in five.

Why it is bad:
    Beyond ±4 a sigmoid's slope is under 0.018: the gate hardly learns.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            nn.init.normal_(self.first.weight, std=1.0)
            self.act = nn.Tanh()

        def forward(self, x):
            return self.act(self.first(x))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            nn.init.xavier_normal_(self.first.weight)
            self.act = nn.Tanh()

        def forward(self, x):
            return self.act(self.first(x))

Fix safety:
    none: it depends on what comes before.

References:
    Glorot and Bengio 2010, section 3
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("D011", "saturated gates", "warning", level="forward")
def find(seen: Seen) -> Iterator[Hit]:
    for signal in seen.signals:
        if signal.saturated > 0.2 and signal.rms > 0:
            yield Hit(
                signal.name,
                f"{signal.saturated:.0%} of its inputs are beyond ±4 (their rms is {signal.input_rms:.3g}): it hardly learns there",
                "draw the layer before it with a smaller gain: xavier, or std = 1/√fan_in",
            )
