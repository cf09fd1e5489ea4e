"""A signal that grows without bound.

What it does:
    Follows the rms of each layer's output; reports the first that passes 1,000 where the input's was under 100.

Why it is bad:
    The loss is huge, gradients overflow fp16, and the first steps destroy the initialisation.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(12)))
            for layer in self.layers:
                nn.init.normal_(layer.weight, std=0.4)

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


@check("P001", "the signal explodes", "warning", level="forward", explains=("G004", "P004"))
def find(seen: Seen) -> Iterator[Hit]:
    last = seen.signals[-1:] if seen.signals else []
    ends = [rms for rms in seen.probe.outputs if rms > 0] if seen.probe is not None else []
    if not last or not last[0].finite or last[0].rms < 1e3 or min(ends, default=0.0) < 1e3:
        return
    for signal in seen.signals:
        if signal.rms > 1e3:
            yield Hit(
                signal.name,
                f"from here on the rms is over 1,000 ({signal.rms:.2g}); it ends at {last[0].rms:.2g}",
                "draw with a gain that keeps the variance (initium.recipe('he')), or add normalisation",
            )
            return
