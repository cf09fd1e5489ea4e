"""The scale of a normalisation layer that does not start at 1.

What it does:
    Reads the weight of every normalisation layer. 1, and 0 at the end of a residual branch or where the layer adds 1 itself, are fine;
    random values are an error.

Why it is bad:
    A BatchNorm scale drawn from N(0, 0.02) multiplies every activation by 0.02, and the gradient with it.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.norm = nn.LayerNorm(32)
            nn.init.normal_(self.norm.weight, std=0.02)

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
    unsafe: DCGAN and its kin draw it around 1 on purpose.

References:
    transformers' RT-DETR: 42 BatchNorms at N(0, 0.01), first gradient 2,600 times too small
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("C001", "norm's scale is not 1", "error", level="weights", fix="unsafe", explains=("P00", "D010"))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.parameters:
        m = one.moments
        if m is None or one.layout.role != "norm" or one.layout.reset != 1.0 or not m.size or one.local != "weight":
            continue
        if one.trace is not None and any(write.loaded for write in one.trace.writes):
            continue
        if not m.constant and one.random and abs(m.mean) < 0.5:
            said = f"its scale is random, {m.mean:.2g} ± {m.std:.2g}"
            yield Hit(one.name, f"{said}: it multiplies its channels by that", "nn.init.ones_(norm.weight)", one.source)
        elif (
            m.constant
            and m.low == 0
            and seen.probe is not None
            and one.name in seen.probe.uses.feeding
            and _bare(seen, one.name)
        ):
            yield Hit(
                one.name,
                "its scale is 0 and no sum follows it: the layer that takes it gets nothing but 0",
                "nn.init.ones_(norm.weight); a scale of 0 belongs at the end of a residual branch",
                one.source,
                severity="warning",
            )
        elif m.constant and m.low not in (0.0, 1.0) and (m.low < 0 or m.low > 10):
            yield Hit(one.name, f"its scale is {m.low:.4g}", "nn.init.ones_(norm.weight)", one.source, severity="info")


def _bare(seen: Seen, name: str) -> bool:
    """No shift, or one of 0."""
    shift = seen.tensors.get(name.removesuffix("weight") + "bias")
    return shift is None or shift.moments is None or shift.moments.largest == 0
