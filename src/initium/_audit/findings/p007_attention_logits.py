"""Attention logits that are too large, or all alike.

What it does:
    The std of each query's logits over its keys; beyond 2, or below 0.001, is reported.

Why it is bad:
    Beyond 2 a few keys take most of the weight before anything is learnt; below 0.001 every query sees the same mean, and its gradient is as small.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = nn.MultiheadAttention(32, 4, batch_first=True)
            nn.init.normal_(self.attn.in_proj_weight, std=1e-3)

        def forward(self, x):
            return self.attn(x, x, x)[0]

    inputs = torch.randn(2, 32, 32)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = nn.MultiheadAttention(32, 4, batch_first=True)
            nn.init.normal_(self.attn.in_proj_weight, std=0.15)

        def forward(self, x):
            return self.attn(x, x, x)[0]

    inputs = torch.randn(2, 32, 32)

Fix safety:
    unsafe: queries of 0 are meant in some recipes.

References:
    Vaswani and others 2017, section 3.2.1; Yang and others 2021
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("P007", "attention logits out of range", "info", level="forward", preview=True, needs=("within",), fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    found: dict[str, float] = {}
    for one in seen.within.attentions:
        found.setdefault(one.name, one.spread)
    for name, spread in found.items():
        if spread > 2 or spread < 1e-3:
            yield Hit(
                name,
                f"its logits have a std of {spread:.2g}",
                "a gain of about 1 in the projections to queries and keys, and logits divided by √d",
            )
