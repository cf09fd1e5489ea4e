"""A signal that grows or shrinks by the same factor at every layer.

What it does:
    Follows each kind of layer through a stack of six or more: the slope of the logarithm of its rms over depth, where a line fits it
    (r² > 0.9). A slope beyond ±0.15, 16 % a layer, that makes a factor of ten altogether, is reported, the steepest.

Why it is bad:
    Sixteen per cent a layer is a factor of ten in fifteen layers, and of 2,000 in fifty. Gradients meet the same factors on their way back.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(12)))

        def forward(self, x):
            return self.layers(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(12)))
            for layer in self.layers:
                nn.init.normal_(layer.weight, std=0.125)

        def forward(self, x):
            return self.layers(x)

Fix safety:
    unsafe: another gain, or residual branches.

References:
    Glorot and Bengio 2010; He and others 2015; Schoenholz and others 2017
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


def _line(y: list[float]) -> tuple[float, float]:
    """(slope, r²) of a straight line through values at 0, 1, 2, …"""
    middle, mean = (len(y) - 1) / 2, sum(y) / len(y)
    across = sum((i - middle) ** 2 for i in range(len(y)))
    along = sum((i - middle) * (value - mean) for i, value in enumerate(y))
    total = sum((value - mean) ** 2 for value in y)
    return along / across, along**2 / across / total if total > 0 else 0.0


@check("P003", "the signal drifts with depth", "warning", level="forward", preview=True, fix="unsafe", explains=("G004",))
def find(seen: Seen) -> Iterator[Hit]:
    found = []
    for members in seen.stacks(lambda signal: signal.rms):
        if len(members) >= 6:
            slope, fit = _line([math.log(rms) for rms in members.values()])
            if abs(slope) > 0.15 and abs(slope) * (len(members) - 1) > math.log(10) and fit > 0.9:
                found.append((abs(slope), slope, members))
    if found:
        _, slope, members = max(found, key=lambda one: one[0])
        names, sizes = list(members), list(members.values())
        yield Hit(
            names[-1],
            f"the signal changes by a factor of {math.exp(slope):.3g} at each of {len(names)} layers, from rms {sizes[0]:.2g} to {sizes[-1]:.2g}",
            "draw with a gain that keeps the variance (initium.recipe('he')), or scale the branches by depth",
            names=tuple(names),
        )
