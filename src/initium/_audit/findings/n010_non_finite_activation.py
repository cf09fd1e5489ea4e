"""An activation that is NaN or infinite.

What it does:
    Names the first layer of the forward pass whose output is not finite.

Why it is bad:
    Everything behind it is NaN.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.act = nn.Softplus()
            self.last = nn.Linear(32, 32)

        def forward(self, x):
            return self.last((self.act(self.first(x)) - 100).log())

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.act = nn.Softplus()
            self.last = nn.Linear(32, 32)

        def forward(self, x):
            return self.last((self.act(self.first(x)) + 1).log())

Fix safety:
    none: it depends on the layer.

References:
    log of a negative number, division by 0, overflow
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("N010", "activation is not finite", "error", level="forward", explains=("N011", "P0", "G0", "D0"))
def find(seen: Seen) -> Iterator[Hit]:
    for signal in seen.signals:
        if not signal.finite:
            yield Hit(
                signal.name,
                f"its output is the first that is not finite (its input's rms is {signal.input_rms:.3g})",
                "look at what comes in: a log, a division, an overflow before it",
            )
            return
    if seen.probe is not None and not all(math.isfinite(rms) for rms in seen.probe.outputs):
        yield Hit("", "the model's output is not finite, and every layer's is", "look at what is computed after the last layer")
