"""A parameter whose gradient is exactly 0 at the first step.

What it does:
    Lists parameters that a gradient of zeros reaches, and whether small steps of the others wake them.

Why it is bad:
    Behind a scale or a layer that starts at 0 this is meant, and lasts one step. Elsewhere it shows what is switched off.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.branch, self.last = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)
            nn.init.zeros_(self.last.weight)

        def forward(self, x):
            x = self.first(x)
            return x + self.last(torch.relu(self.branch(x)))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.branch, self.last = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)

        def forward(self, x):
            x = self.first(x)
            return x + self.last(torch.relu(self.branch(x)))

Fix safety:
    none: most often it is meant.

References:
    Zhang and others 2019 (Fixup); Goyal and others 2017
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("G002", "zero gradient at the first step", "info", level="grad", preview=True)
def find(seen: Seen) -> Iterator[Hit]:
    if seen.probe is None:
        return
    zero = [name for name, rms in seen.probe.gradients.items() if rms == 0.0]
    for stays in (False, True):
        names = tuple(name for name in zero if (seen.probe.after.get(name) == 0.0) == stays)
        if names:
            said = "stay 0 after small steps of the others" if stays else "wake when the others have moved"
            yield Hit(
                names[0],
                f"{len(names)} of {len(seen.probe.gradients)} parameters get a gradient of exactly 0 at the first step, and {said}",
                "nothing, if it is meant: initium.expect",
                names=names,
            )
