"""A rectifier most of whose units are 0 for every input.

What it does:
    After each ReLU module, counts the units that are 0 at all positions of all samples; asks for 256 positions and for more units than half
    of them and four standard deviations, which is what positions that all look alike (a decoder's queries, which start at 0) leave.

Why it is bad:
    A unit that is never active has no gradient. A bias that is far below zero, or weights of one sign, leave a layer of such.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 64)
            nn.init.constant_(self.first.bias, -10.0)
            self.act = nn.ReLU()
            self.last = nn.Linear(64, 32)

        def forward(self, x):
            return self.last(self.act(self.first(x))) + x

    inputs = torch.randn(256, 32)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 64)
            self.act = nn.ReLU()
            self.last = nn.Linear(64, 32)

        def forward(self, x):
            return self.last(self.act(self.first(x))) + x

    inputs = torch.randn(256, 32)

Fix safety:
    none: it depends on what comes before.

References:
    the dying ReLU
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("D010", "dead units", "warning", level="forward", explains=("P002", "P005", "G0"))
def find(seen: Seen) -> Iterator[Hit]:
    for signal in seen.signals:
        if signal.kind in ("ReLU", "ReLU6"):
            if _dead(signal.units, signal.dead_units, signal.positions):
                yield Hit(
                    signal.name,
                    f"{signal.dead_units} of its {signal.units} units are 0 at all {signal.positions:,} positions: they have no gradient",
                    "look at the bias and the mean of the layer before it",
                )
                return  # what comes after is a consequence
    rectified = seen.probe.uses.rectified if seen.probe is not None else []
    alive = {one.after for one in rectified if one.after and not _dead(one.units, one.dead, one.positions)}  # on another call
    for one in rectified:
        if one.after not in alive and _dead(one.units, one.dead, one.positions):
            yield Hit(
                one.after.rpartition(".")[0],
                f"{one.dead} of the {one.units} units of the rectifier after it are 0 at all {one.positions:,} positions: they have no "
                "gradient",
                "look at its bias and the mean of what it takes",
            )
            return


def _dead(units: int, dead: int, positions: int) -> bool:
    """A unit that sees few and similar inputs is dead half of the time: 4 standard deviations over half, 6 where positions are few."""
    return units > 16 and positions > 1 and dead / units > 0.5 + (2 if positions >= 256 else 3) / units**0.5
