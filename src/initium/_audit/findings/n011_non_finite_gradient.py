"""A gradient that is NaN or infinite where the forward pass is finite.

What it does:
    Names the parameters whose gradient is not finite.

Why it is bad:
    The first step makes them NaN. A square root, a norm or a log at 0 is the usual cause.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.shift = nn.Parameter(torch.zeros(32))

        def forward(self, x):
            return self.first(x) + self.shift.sqrt()

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.shift = nn.Parameter(torch.ones(32))

        def forward(self, x):
            return self.first(x) + self.shift.sqrt()

Fix safety:
    none: it depends on the layer.

References:
    √x at 0
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("N011", "gradient is not finite", "error", level="grad", explains=("G0",))
def find(seen: Seen) -> Iterator[Hit]:
    for name, rms in (seen.probe.gradients if seen.probe is not None else {}).items():
        if rms is not None and not math.isfinite(rms):
            one = seen.tensors.get(name)
            yield Hit(
                name, "its first gradient is not finite", "keep roots, norms and logs away from 0", one.source if one else None
            )
