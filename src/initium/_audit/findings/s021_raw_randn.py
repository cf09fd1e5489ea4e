"""A raw ``torch.randn`` matrix as a weight.

What it does:
    Looks for bare 2-D parameters with at least 32 columns and a std over 0.5 that no table, position or token goes by.

Why it is bad:
    A product with it multiplies the signal's std by √fan_in: 16 for 256 inputs.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            self.proj = nn.Parameter(torch.randn(64, 64))

        def forward(self, x):
            return self.first(x) @ self.proj

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            self.proj = nn.Parameter(torch.randn(64, 64) * 64**-0.5)

        def forward(self, x):
            return self.first(x) @ self.proj

Fix safety:
    unsafe: a table of learnt vectors may have std 1.

References:
    openai/CLIP #15
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check

_TABLES = re.compile(
    r"pos|emb|token|quer|code|proto|anchor|mem|cls|prompt|slot|table|latent|centroid|freq|fourier|init|cent", re.IGNORECASE
)


@check("S021", "raw randn as a weight", "warning", level="weights", fix="unsafe", explains=("P001",))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.parameters:
        m = one.moments
        if m is None or one.layout.role != "parameter" or one.slot is None or not one.slot.tensor.requires_grad:
            continue
        if seen.probe is not None and seen.probe.uses.read and one.name not in seen.probe.uses.factors:
            continue  # it is scaled before it is used, as at an equalised learning rate
        if len(one.shape) == 2 and min(one.shape) >= 8 and one.shape[1] >= 32 and m.std > 0.5 and one.random:
            if not _TABLES.search(one.name):
                yield Hit(
                    one.name,
                    f"its std is {m.std:.3g}: a product with it multiplies the signal's std by √fan_in ≈ {one.shape[0] ** 0.5:.0f}",
                    "scale it: torch.randn(in, out) * in ** -0.5",
                    one.source,
                )
