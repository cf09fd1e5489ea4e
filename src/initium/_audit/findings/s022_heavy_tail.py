"""A heavy-tailed draw that no declared law explains.

What it does:
    Of random weights whose law cannot be followed, at least 2,048 elements, reports a kurtosis above 4.5; a normal has 3.

Why it is bad:
    It is a mixture: part of the tensor was drawn with another std, or something was added to it. A few elements carry the layer.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            with torch.no_grad():
                self.first.weight.copy_(torch.randn(64, 64) / 8 * torch.exp(torch.randn(64, 64)))

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            nn.init.normal_(self.first.weight, std=0.125)

        def forward(self, x):
            return self.first(x)

Fix safety:
    unsafe: a sparse or heavy-tailed start may be meant.

References:
    scaled mixtures; rows drawn with stds of their own
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..._capture.fold import WHOLE
from ..judge import family_z
from ..measure.seen import Seen, TensorSeen
from ..registry import Hit, check


def _unexplained(one: TensorSeen) -> bool:
    m, call = one.moments, one.call
    if m is None or m.size < 2048 or m.constant or not one.random or one.computed or one.trace is None or not one.trace.random:
        return False
    if one.law is not None and one.law.kind != "other":
        return False
    return m.zeros < m.size / 100 and (call is None or call.name not in WHOLE)


@check("S022", "heavy tail", "info", level="weights", preview=True, needs=("construction",), fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    drawn = [one for one in seen.parameters if _unexplained(one)]
    limit = max(4.5, 3 + family_z(len(drawn)) * math.sqrt(24 / 2048))
    for one in drawn:
        m = one.moments
        assert m is not None
        if m.kurtosis > limit:
            yield Hit(
                one.name,
                f"its kurtosis is {m.kurtosis:.1f} where a normal's is 3, and its largest value {m.largest / m.std:.0f} std",
                "draw it by one law; see which line adds to it",
                one.source,
            )
