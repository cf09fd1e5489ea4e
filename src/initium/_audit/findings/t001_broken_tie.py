"""A tie that the model declares and does not have.

What it does:
    Reads ``_tied_weights_keys`` and ``config.tie_word_embeddings`` of transformers' models, and compares the memory.

Why it is bad:
    The two weights part at the first step, and one of them is lost when the model is saved.

Example:
    class Model(nn.Module):
        _tied_weights_keys = ["head.weight"]

        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(50, 32)
            nn.init.normal_(self.tokens.weight, std=0.02)
            self.head = nn.Linear(32, 50, bias=False)

        def forward(self, ids):
            return self.head(self.tokens(ids))

Use instead:
    class Model(nn.Module):
        _tied_weights_keys = ["head.weight"]

        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(50, 32)
            nn.init.normal_(self.tokens.weight, std=0.02)
            self.head = nn.Linear(32, 50, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, ids):
            return self.head(self.tokens(ids))

Fix safety:
    safe: tie them again: model.tie_weights().

References:
    ``to_empty`` and device moves untie weights
"""

from __future__ import annotations

from collections.abc import Iterator

from ..judge import config_of
from ..measure.seen import Seen
from ..registry import Hit, check


@check("T001", "declared tie is broken", "error", level="static", needs=("model",), fix="safe", explains=("Y001",))
def find(seen: Seen) -> Iterator[Hit]:
    declared = getattr(seen.model, "_tied_weights_keys", None)
    config, text = config_of(seen)
    if (
        not declared
        or getattr(text, "tie_word_embeddings", True) is False
        or getattr(config, "tie_word_embeddings", True) is False
    ):
        return
    assert seen.inv is not None
    tied = {slot.name for slot in seen.inv.slots if slot.tied_to is not None} | {slot.tied_to for slot in seen.inv.slots}
    names = {slot.name for slot in seen.inv.slots}
    for name in declared:
        if isinstance(name, str) and name in names and name not in tied:
            yield Hit(
                name, "the model declares it tied, and it has memory of its own", "model.tie_weights(), or assign the parameter"
            )
