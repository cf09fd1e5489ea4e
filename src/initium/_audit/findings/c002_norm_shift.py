"""The shift of a normalisation layer that is random.

What it does:
    Reads the bias of every normalisation layer.

Why it is bad:
    It is what a rule for all biases does that forgets norms; activations start off centre.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.norm = nn.LayerNorm(32)
            nn.init.normal_(self.norm.bias, std=0.1)

        def forward(self, x):
            return self.norm(self.first(x))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.norm = nn.LayerNorm(32)

        def forward(self, x):
            return self.norm(self.first(x))

Fix safety:
    unsafe: rarely, it is meant.

References:
    a rule over every bias
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("C002", "norm's shift is random", "warning", level="weights", fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.parameters:
        m = one.moments
        if m is None or one.layout.role != "norm" or one.layout.reset != 0.0 or m.constant or one.local != "bias" or not m.size:
            continue
        if one.trace is not None and one.trace.random and not any(write.loaded for write in one.trace.writes):
            yield Hit(one.name, f"it is random, {m.mean:.2g} ± {m.std:.2g}", "nn.init.zeros_(norm.bias)", one.source)
