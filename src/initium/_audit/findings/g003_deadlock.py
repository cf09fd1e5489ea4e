"""A weight that cannot start to learn.

What it does:
    Weights whose gradient is exactly 0 at the start, and still 0 after small steps of all others, until nothing changes any more.

Why it is bad:
    One zero factor in a product is a good start: the next step moves it. Where two factors are 0, neither has a gradient, for ever.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(32, 32)
            self.down, self.up = nn.Linear(32, 4, bias=False), nn.Linear(4, 32, bias=False)
            nn.init.zeros_(self.down.weight)
            nn.init.zeros_(self.up.weight)

        def forward(self, x):
            return self.base(x) + self.up(self.down(x))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(32, 32)
            self.down, self.up = nn.Linear(32, 4, bias=False), nn.Linear(4, 32, bias=False)
            nn.init.zeros_(self.up.weight)

        def forward(self, x):
            return self.base(x) + self.up(self.down(x))

Fix safety:
    unsafe: which factor is to be drawn is the author's to say.

References:
    LoRA with both factors 0; a zero residual end behind a zero scale
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("G003", "gradient is zero for ever", "error", level="grad", fix="unsafe", explains=("Y005",))
def find(seen: Seen) -> Iterator[Hit]:
    probe = seen.probe
    if probe is None:
        return
    for name, rms in probe.after.items():
        one = seen.tensors.get(name)
        if rms != 0.0 or one is None or len(one.shape) < 2 or one.moments is None or one.layout.role == "embedding":
            continue
        factor = one.moments.constant and one.moments.low == 0
        if factor:  # a zero factor without a gradient; what merely feeds one gets its gradient when that moves
            yield Hit(
                name,
                "it is 0, its gradient is exactly 0, and stays so after steps of all other parameters",
                "draw one of the factors of the product at random",
                one.source,
            )
