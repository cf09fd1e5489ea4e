"""Attention that starts out looking at one place.

What it does:
    Entropy of the attention's probabilities over the keys that each query may see, next to that of looking everywhere alike; under a half is
    reported. Fused kernels are looked at through their queries and keys.

Why it is bad:
    A softmax that is all but one-hot has no gradient for the logits: where each query looks is decided by chance, and stays.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = nn.MultiheadAttention(32, 4, batch_first=True)
            nn.init.normal_(self.attn.in_proj_weight, std=0.7)

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
    unsafe: a smaller draw of queries and keys, or a scale of 1/√d.

References:
    TransformerLens #518; Zhai and others 2023
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..measure.within import Attention
from ..registry import Hit, check


def _lowest(seen: Seen) -> list[Attention]:
    """Of each module, its least even attention over eight keys or more."""
    found: dict[str, Attention] = {}
    for one in seen.within.attentions:
        if one.keys >= 8 and (one.name not in found or one.entropy < found[one.name].entropy):
            found[one.name] = one
    return list(found.values())


@check(
    "D012", "one-hot attention", "warning", level="forward", preview=True, needs=("within",), fix="unsafe", explains=("P007",)
)
def find(seen: Seen) -> Iterator[Hit]:
    for one in _lowest(seen):
        if one.entropy < 0.5:
            yield Hit(
                one.name,
                f"the entropy of its attention is {one.entropy:.0%} of that of looking everywhere alike "
                f"(its logits' std is {one.spread:.3g} over {one.keys} keys)",
                "draw the projections to queries and keys smaller, or see whether the logits are divided by √d",
            )
