"""Tokens that become one on their way.

What it does:
    The mean cosine between the tokens of a sample, layer by layer; reported where it is over 0.99 behind the last normalisation and under 0.95
    at the first layer.

Why it is bad:
    Attention averages. Without a skip, or with one that is scaled too small, every layer brings the tokens closer together, doubly
    exponentially, and what comes out says nothing of where.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.MultiheadAttention(32, 4, batch_first=True) for _ in range(6))
            self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(6))
            self.first = nn.Linear(32, 32)

        def forward(self, x):
            x = self.first(x)
            for layer, norm in zip(self.layers, self.norms):
                x = norm(layer(x, x, x)[0])
            return x

    inputs = torch.randn(2, 32, 32)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.MultiheadAttention(32, 4, batch_first=True) for _ in range(6))
            self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(6))
            self.first = nn.Linear(32, 32)

        def forward(self, x):
            x = self.first(x)
            for layer, norm in zip(self.layers, self.norms):
                x = x + layer(*[norm(x)] * 3)[0]
            return x

    inputs = torch.randn(2, 32, 32)

Fix safety:
    none: a skip around each attention.

References:
    Dong and others 2021
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("P006", "tokens collapse", "warning", level="forward", preview=True, needs=("within",))
def find(seen: Seen) -> Iterator[Hit]:
    tokens = seen.within.tokens
    norms = [
        one for one in tokens if "norm" in one.kind.lower()
    ]  # they see the stream; a branch of even attention is alike by nature
    if len(norms) < 3 or tokens[0].cosine > 0.95 or not norms[-1].cosine >= 0.99:
        return
    where = next(one for one in norms if one.cosine > 0.99)
    yield Hit(
        where.name,
        f"from here on the tokens of a sample are all but one: their mean cosine is {norms[-1].cosine:.4f} at the end and "
        f"{tokens[0].cosine:.2f} at the beginning",
        "a skip around each attention, or a larger gain of the values",
    )
