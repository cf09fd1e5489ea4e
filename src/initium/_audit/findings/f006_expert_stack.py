"""A stack of expert weights that was drawn as if it were a convolution.

What it does:
    Looks for Xavier and Kaiming draws on a 3-D weight whose first axis counts experts, or that no convolution owns.

Why it is bad:
    torch reads (experts, out, in) as (out, in, kernel): fan_in becomes out · in instead of in, and the std is √out times too small.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.experts = nn.Parameter(torch.empty(4, 64, 32))
            nn.init.kaiming_uniform_(self.experts)

        def forward(self, x):
            return torch.einsum("ni,eoi->no", self.first(x), self.experts)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.experts = nn.Parameter(torch.empty(4, 64, 32))
            for expert in self.experts:
                nn.init.kaiming_uniform_(expert)

        def forward(self, x):
            return torch.einsum("ni,eoi->no", self.first(x), self.experts)

Fix safety:
    safe: for new code.

References:
    mixture-of-experts layers written by hand
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..judge import by_shape
from ..measure.seen import Seen
from ..registry import Hit, check


@check("F006", "expert stack drawn as a convolution", "warning", level="static", needs=("construction", "model"), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    for one, call in by_shape(seen, ("xavier", "kaiming")):
        stacked = len(one.shape) == 3 and one.shape[0] > 1 and min(one.shape[1:]) > 7
        if stacked and call.shape == one.shape and not isinstance(one.module, (nn.modules.conv._ConvNd, nn.Bilinear)):
            if one.layout.role in ("parameter", "weight") and "pos" not in one.local and "embed" not in one.local:
                e, o, i = one.shape
                yield Hit(
                    one.name,
                    f"{call.name} reads {e}×{o}×{i} as a kernel of {i} places: fan_in {o * i} instead of one matrix's",
                    "draw each matrix of the stack: for expert in weight: nn.init.…(expert)",
                    one.source,
                )
