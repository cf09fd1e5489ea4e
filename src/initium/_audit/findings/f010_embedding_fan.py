"""An embedding whose std depends on the size of the vocabulary.

What it does:
    Looks for Xavier and Kaiming draws on embedding tables.

Why it is bad:
    A lookup sums nothing: its fan_in is 1. Xavier takes the vocabulary for a fan, so the same model with more tokens has smaller embeddings.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(1000, 32)
            nn.init.xavier_uniform_(self.tokens.weight)
            self.mix = nn.Linear(32, 32)

        def forward(self, ids):
            return self.mix(self.tokens(ids))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(1000, 32)
            nn.init.normal_(self.tokens.weight, std=0.02)
            self.mix = nn.Linear(32, 32)

        def forward(self, ids):
            return self.mix(self.tokens(ids))

Fix safety:
    safe: for new code.

References:
    pytorch/torchrec #1824
"""

from __future__ import annotations

from collections.abc import Iterator

from ..judge import by_shape
from ..measure.seen import Seen
from ..registry import Hit, check


@check("F010", "embedding's fan is its vocabulary", "info", level="static", needs=("construction", "model"), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    for one, call in by_shape(seen, ("xavier", "kaiming")):
        if one.layout.role == "embedding" and call.shape == one.shape:
            std = one.law.std if one.law is not None else float("nan")
            yield Hit(
                one.name,
                f"{call.name} takes the vocabulary of {one.shape[0]:,} for a fan: std {std:.3g}, which another vocabulary would change",
                "nn.init.normal_(embedding.weight, std=0.02), or d ** -0.5",
                one.source,
            )
