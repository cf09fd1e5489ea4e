"""An embedding of std 1 that is tied to the output layer.

What it does:
    Looks for embedding tables with a std over 0.5 that are also the weight of a Linear.

Why it is bad:
    The logits' std is then std · √d times the final norm's: 20 and more. The first loss is far above ln(vocabulary), and the
    first updates undo the initialisation.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(100, 64)
            self.mix = nn.Linear(64, 64)
            self.head = nn.Linear(64, 100, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, ids):
            return self.head(self.mix(self.tokens(ids)))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(100, 64)
            nn.init.normal_(self.tokens.weight, std=0.02)
            self.mix = nn.Linear(64, 64)
            self.head = nn.Linear(64, 100, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, ids):
            return self.head(self.mix(self.tokens(ids)))

Fix safety:
    unsafe: some models divide by √d before the output layer.

References:
    pytorch/pytorch #3121; speechbrain #926
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn

from ..measure.seen import Seen
from ..registry import Hit, check


@check("S020", "tied embedding with std 1", "warning", level="weights", needs=("model",), fix="unsafe", explains=("P004",))
def find(seen: Seen) -> Iterator[Hit]:
    assert seen.inv is not None
    heads = {slot.tied_to for slot in seen.inv.slots if slot.tied_to is not None and isinstance(slot.module, nn.Linear)}
    tables = {slot.tied_to for slot in seen.inv.slots if slot.tied_to is not None and isinstance(slot.module, nn.Embedding)}
    for one in seen.parameters:
        embeds = isinstance(one.module, nn.Embedding) and one.name in heads
        reads = isinstance(one.module, nn.Linear) and one.name in tables
        m = one.moments
        if (embeds or reads) and m is not None and m.std > 0.5 and len(one.shape) == 2:
            yield Hit(
                one.name,
                f"its std is {m.std:.3g} and it is the output layer too: the logits' std is about {m.std * math.sqrt(one.shape[1]):.0f}",
                "nn.init.normal_(embedding.weight, std=0.02), or d ** -0.5",
                one.source,
            )
