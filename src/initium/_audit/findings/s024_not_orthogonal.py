"""A weight that was drawn orthogonal as a whole and is used in parts that are not.

What it does:
    Of orthogonal draws over packed or stacked weights and grouped convolutions, compares the singular values of each part with one another.

Why it is bad:
    ``orthogonal_`` makes one matrix of whatever it gets. Experts stacked in (E, out, in) become rows of out · in, and none of them is orthogonal by
    itself: their singular values spread as those of any random matrix.

Example:
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(4, 32, 32))
            nn.init.orthogonal_(self.weight, gain=5.0)

        def forward(self, x):
            return torch.einsum("ni,eoi->no", x, self.weight)

    @initium.module(Experts)
    def experts(module):
        return {"weight": initium.Layout("weight", batch_axes=(0,), out_axes=(1,), in_axes=(2,))}

    Model = Experts
    inputs = torch.randn(4, 32)

Use instead:
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(4, 32, 32))
            for expert in self.weight:
                nn.init.orthogonal_(expert)

        def forward(self, x):
            return torch.einsum("ni,eoi->no", x, self.weight)

    @initium.module(Experts)
    def experts(module):
        return {"weight": initium.Layout("weight", batch_axes=(0,), out_axes=(1,), in_axes=(2,))}

    Model = Experts
    inputs = torch.randn(4, 32)

Fix safety:
    unsafe: draw each part by itself.

References:
    Saxe and others 2014; packed gates: cleanrl #358
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "S024",
    "orthogonal as a whole, not in its parts",
    "warning",
    level="weights",
    preview=True,
    needs=("construction", "model", "spectra"),
    fix="unsafe",
)
def find(seen: Seen) -> Iterator[Hit]:
    for name, parts in seen.spectra.items():
        one = seen.tensors[name]
        if one.law is None or one.law.kind != "orthogonal" or len(parts) < 2:
            continue
        rough = 1e-3 if one.tensor is not None and one.tensor.dtype in (torch.float32, torch.float64) else 0.05
        worst = min(parts, key=lambda part: part.low / part.high)
        if worst.low < (1 - rough) * worst.high:
            yield Hit(
                name,
                f"the singular values of one of its parts go from {worst.low:.3g} to {worst.high:.3g}",
                "draw each part: for part in weight: nn.init.orthogonal_(part)",
                one.source,
            )
