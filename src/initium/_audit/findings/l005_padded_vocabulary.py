"""Rows of an embedding beyond the vocabulary that are not zero.

What it does:
    Compares the rows of embeddings and output layers with the configuration's vocab_size, where they were padded to a round number.

Why it is bad:
    Nobody looks the padding up. In an output layer it takes its share of the softmax from the first loss on, and in a norm of the weights too.

Example:
    class Config:
        vocab_size = 50

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.config = Config()
            self.tokens = nn.Embedding(64, 32)
            nn.init.normal_(self.tokens.weight, std=0.02)
            self.mix = nn.Linear(32, 32)

        def forward(self, ids):
            return self.mix(self.tokens(ids % 50))

Use instead:
    class Config:
        vocab_size = 50

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.config = Config()
            self.tokens = nn.Embedding(64, 32)
            nn.init.normal_(self.tokens.weight, std=0.02)
            with torch.no_grad():
                self.tokens.weight[50:] = 0
            self.mix = nn.Linear(32, 32)

        def forward(self, ids):
            return self.mix(self.tokens(ids % 50))

Fix safety:
    safe: weight[vocab_size:] = 0.

References:
    vocabularies padded to a multiple of 64 or 128
"""

from __future__ import annotations

from collections.abc import Iterator

from ..._structure.names import calls_itself_head
from ..judge import config_of
from ..measure.seen import Seen
from ..registry import Hit, check


@check("L005", "padded vocabulary rows are random", "info", level="weights", preview=True, needs=("model",), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    _, text = config_of(seen)
    size = getattr(text, "vocab_size", None)
    if not isinstance(size, int) or size < 2:
        return
    padded: set[tuple[int, ...]] = set()
    for one in seen.parameters:
        rows = one.shape[0] if len(one.shape) == 2 else 0
        if one.layout.role not in ("embedding", "weight") or not size < rows <= size + max(size // 2, 128) or rows % 8:
            continue
        if one.layout.role == "embedding":
            padded.add(one.shape)
        elif one.shape not in padded or not calls_itself_head(one.name.rpartition(".")[0]):
            continue
        if one.tensor is not None and bool((one.tensor[size:] != 0).any()):
            yield Hit(
                one.name,
                f"it has {rows:,} rows, the vocabulary {size:,}: {rows - size} rows of padding are random",
                f"with torch.no_grad(): weight[{size}:] = 0",
                one.source,
            )
