"""NaN or infinity in a weight.

What it does:
    Counts elements of parameters that are NaN or infinite, and NaN in buffers. (A mask of −∞ in a buffer is fine.)

Why it is bad:
    One NaN makes every output NaN.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 8)
            with torch.no_grad():
                self.first.bias.copy_(torch.tensor([-1.0] * 4 + [1.0] * 4).log())

        def forward(self, x):
            return self.first(x)

    level = "weights"

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 8)
            with torch.no_grad():
                self.first.bias.copy_(torch.full((8,), 0.5).log())

        def forward(self, x):
            return self.first(x)

Fix safety:
    none: what computes it has to change.

References:
    uniform → erfinv at the end of its range; log of a negative number
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("N001", "NaN or infinity in a weight", "error", level="weights", explains=("N01", "G0", "P0", "D0"))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.sound:
        m = one.moments
        if m is not None and (m.nan or (m.inf and not one.is_buffer)) and not one.computed:
            said = " and ".join(f"{n:,} {word}" for n, word in ((m.nan, "NaN"), (m.inf, "infinite")) if n)
            yield Hit(
                one.name, f"{said} of its {m.size + m.nan + m.inf:,} elements", "look at the line that computes it", one.source
            )
