"""A learnt logarithm of a temperature whose exponential is out of range.

What it does:
    Reads parameters called logit_scale or log_temperature; their exponential is to lie between 1 and 100.

Why it is bad:
    CLIP starts at ln(1/0.07) = 2.66 and cuts at 100. 14.3, which is 1/0.07 itself, makes 1.6 million of it: the first loss is a lottery.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.image, self.text = nn.Linear(32, 16), nn.Linear(32, 16)
            self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07))

        def forward(self, x):
            a, b = F.normalize(self.image(x), dim=-1), F.normalize(self.text(x), dim=-1)
            return self.logit_scale.exp() * a @ b.T

    level = "weights"

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.image, self.text = nn.Linear(32, 16), nn.Linear(32, 16)
            self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

        def forward(self, x):
            a, b = F.normalize(self.image(x), dim=-1), F.normalize(self.text(x), dim=-1)
            return self.logit_scale.exp() * a @ b.T

    level = "weights"

Fix safety:
    unsafe: a scale that is not a logarithm may have the name.

References:
    Radford and others 2021; SigLIP: ln 10
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check

_NAMES = re.compile(r"logit_scale|log_temperature|log_logit_scale")


@check("C009", "temperature out of range", "info", level="weights", preview=True, fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.parameters:
        m = one.moments
        if m is None or not _NAMES.fullmatch(one.local) or not m.size:
            continue
        if m.high > math.log(110) or m.low < 0:
            value = m.high if m.high > math.log(110) else m.low
            yield Hit(
                one.name,
                f"it is {value:.3g}, and its exponential {math.exp(min(value, 80)):.3g}",
                "a logarithm: ln(1 / 0.07) = 2.66 in CLIP, ln 10 in SigLIP",
                one.source,
            )
