"""Values that look like memory nobody filled, where nobody watched the construction.

What it does:
    For a model that was given already built, or a checkpoint: values beyond 1e30, or magnitudes spread over more than 60 powers of two.

Why it is bad:
    No initialisation draws such values. They are what ``torch.empty`` happens to return.

Example:
    bits = torch.arange(1, 1025, dtype=torch.int32) * 2_654_435
    Model = nn.Linear(32, 32)
    with torch.no_grad():
        Model.weight.copy_(bits.view(torch.float32).nan_to_num(1.0).reshape(32, 32))

Use instead:
    Model = nn.Linear(32, 32)

Fix safety:
    unsafe: audit the constructor to see who left it so.

References:
    sgl-project/sglang #26772
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("U013", "values look like unfilled memory", "warning", level="weights", fix="unsafe", explains=("N0", "P0", "G0", "S0"))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.parameters:
        m = one.moments
        if (one.trace is not None and (one.trace.writes or one.trace.blank)) or m is None or m.size < 16 or m.constant:
            continue
        sizes = m.sample.abs()
        sizes = sizes[(sizes > 0) & sizes.isfinite()]
        if not len(sizes):
            continue
        spread = math.log2(float(sizes.double().max() / sizes.double().min()))
        tiny = float((sizes < 1e-30).float().mean())
        if m.largest > 1e30 or (spread > 60 and tiny > 0.05):
            yield Hit(
                one.name,
                f"its values look like unfilled memory: the largest is {m.largest:.1e}, and they span {spread:.0f} powers of two",
                "fill it; initium audit on the constructor shows which line made it",
            )
