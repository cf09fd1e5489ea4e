"""A signal that dies before it reaches the end.

What it does:
    Looks at the rms of what the model puts out; reports where it first fell below 1e-5 when it never recovers.

Why it is bad:
    The gradient is multiplied by the same factors on the way back: the first layers do not learn.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(12)))
            for layer in self.layers:
                nn.init.normal_(layer.weight, std=0.02)

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
    none: it depends on the layers before.

References:
    Glorot and Bengio 2010; He and others 2015
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("P002", "the signal dies", "warning", level="forward", explains=("P005",))
def find(seen: Seen) -> Iterator[Hit]:
    if seen.probe is None or not seen.signals:
        return
    outputs = [rms for rms in seen.probe.outputs if rms > 0]
    if not outputs or max(outputs) > 1e-5:
        return
    alive = max((i for i, s in enumerate(seen.signals) if s.rms > 1e-5), default=-1)
    where = seen.signals[min(alive + 1, len(seen.signals) - 1)]
    yield Hit(
        where.name,
        f"from here on the rms is under 1e-5; the model puts out {max(outputs):.2g}",
        "draw with a gain that keeps the variance (initium.recipe('he')), or add normalisation",
    )
