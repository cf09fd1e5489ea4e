"""Weights so small or so large that the layer kills its signal, or blows it up.

What it does:
    gain = std · √fan_in, by the module's real fan. It reports gains under 0.0001 and over 30. A layer with a constant bias of some size, as
    the gate of a gMLP, which starts open, is left out where its gain is small.

Why it is bad:
    With a gain of 1e-9 a layer's output, and every gradient behind it, is 1e-9 of what it should be: such a network cannot be trained
    from here.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            nn.init.normal_(self.first.weight, std=1e-10)

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            nn.init.normal_(self.first.weight, std=0.02)

        def forward(self, x):
            return self.first(x)

Fix safety:
    unsafe: a value of that size may be meant as a zero that breaks symmetry.

References:
    ``initializer_range = 1e-10`` is the default of transformers' SAM configurations
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("S010", "gain far out of band", "warning", level="weights", fix="unsafe", explains=("P00", "G0"))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.weights:
        fans, m = one.fans, one.moments
        if fans is None or m is None or m.constant or m.size < 64 or not one.random or one.computed:
            continue
        gain = m.rms * math.sqrt(fans[0])
        bias = seen.tensors.get(f"{one.name.rpartition('.')[0]}.bias")
        starts_at_bias = bias is not None and bias.moments is not None and bias.moments.rms > 0.1
        if (0 < gain < 1e-4 and not starts_at_bias) or gain > 30:
            word = "dies" if gain < 1 else "explodes"
            yield Hit(
                one.name,
                f"std {m.std:.2g} over fan_in {fans[0]} is a gain of {gain:.2g}: the signal {word} here",
                f"a gain of 1 is std {1 / math.sqrt(fans[0]):.3g}; look for a configuration's initializer_range",
                one.source,
            )
