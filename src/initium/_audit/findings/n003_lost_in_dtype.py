"""Values that the tensor's dtype cannot hold.

What it does:
    Looks for parameters whose writes declare a constant other than 0 and that hold 0, and for those of which more than 1 % is below the
    normal range of their dtype.

Why it is bad:
    fp16 has nothing between 0 and 6e-8: a LayerScale of 1e-8 becomes 0, and its branch is cut off. Subnormal values have few bits left.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.scale = nn.Parameter(torch.full((32,), 1e-8))
            self.to(torch.float16)

        def forward(self, x):
            return self.first(x) * self.scale

    level = "weights"

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.scale = nn.Parameter(torch.full((32,), 1e-8))
            self.to(torch.bfloat16)

        def forward(self, x):
            return self.first(x) * self.scale

    level = "weights"

Fix safety:
    unsafe: the scale, or the dtype, is the author's to choose.

References:
    LayerScale of 1e-6 in fp16 (subnormal)
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("N003", "lost in the storage dtype", "warning", level="weights", preview=True, fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.parameters:
        m, law = one.moments, one.law
        if m is None or one.tensor is None or not m.size:
            continue
        gone = law is not None and law.kind == "constant" and law.mean != 0 and m.constant and m.low == 0
        share = m.subnormal / m.size
        if gone or share > 0.01:
            assert law is not None or not gone
            said = (
                f"it was set to {law.mean:.3g} and holds 0" if gone and law is not None else f"{share:.0%} of it is subnormal"
            )
            dtype = str(one.tensor.dtype).removeprefix("torch.")
            yield Hit(
                one.name, f"{said}: {dtype} has no such numbers", "keep it in float32 or bfloat16, or scale it", one.source
            )
