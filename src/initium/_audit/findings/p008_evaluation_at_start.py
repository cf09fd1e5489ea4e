"""A model that is degenerate in evaluation mode before it is trained.

What it does:
    Runs a model with BatchNorm once more by its running statistics, which are still 0 and 1, and compares the size of what comes out.

Why it is bad:
    Nothing is wrong with its training. But a first validation, an exported model or a frozen backbone sees this: torchvision's mobilenet_v2 puts
    out 1e-9 there.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            layers = [nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(32)) for _ in range(6)]
            self.layers = nn.Sequential(*layers)
            for layer in layers:
                nn.init.normal_(layer[0].weight, std=0.02)
                nn.init.zeros_(layer[0].bias)

        def forward(self, x):
            return self.layers(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            layers = [nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(32)) for _ in range(6)]
            self.layers = nn.Sequential(*layers)
            for layer in layers:
                nn.init.xavier_normal_(layer[0].weight)
                nn.init.zeros_(layer[0].bias)

        def forward(self, x):
            return self.layers(x)

Fix safety:
    none: run a few batches in training mode first.

References:
    torchvision's mobilenet_v2, timm's efficientnet_b0
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("P008", "degenerate in evaluation mode", "info", level="forward", preview=True, needs=("evaluation",))
def find(seen: Seen) -> Iterator[Hit]:
    probe = seen.probe
    if probe is None or probe.evaluated is None or not probe.outputs or not 0 < probe.outputs[0] < math.inf:
        return
    ratio = probe.evaluated / probe.outputs[0]
    if not 1e-3 < ratio < 1e3:
        yield Hit(
            "",
            f"by its running statistics it puts out {probe.evaluated:.2g} (rms), by those of the batch {probe.outputs[0]:.2g}",
            "a few batches in training mode before the first evaluation",
        )
