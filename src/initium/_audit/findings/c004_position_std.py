"""A learnt position table as loud as the tokens.

What it does:
    Reads learnt tables whose names say positions, and reports a std above 0.5 beside token embeddings under half as loud.

Why it is bad:
    nn.Embedding draws N(0, 1); beside tokens of std 0.02 the sum is the position, and the token is lost in it until training has brought it down.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.position_embeddings = nn.Embedding(50, 32), nn.Embedding(16, 32)
            nn.init.normal_(self.tokens.weight, std=0.02)
            self.mix = nn.Linear(32, 32)

        def forward(self, ids):
            places = torch.arange(ids.shape[1])
            return self.mix(self.tokens(ids) + self.position_embeddings(places))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.position_embeddings = nn.Embedding(50, 32), nn.Embedding(16, 32)
            for table in (self.tokens, self.position_embeddings):
                nn.init.normal_(table.weight, std=0.02)
            self.mix = nn.Linear(32, 32)

        def forward(self, ids):
            places = torch.arange(ids.shape[1])
            return self.mix(self.tokens(ids) + self.position_embeddings(places))

Fix safety:
    unsafe: it changes the start.

References:
    nn.Embedding as a position table, with torch's default
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check

_PLACES = re.compile(
    r"(^|[._])(pos|position|positions|positional|wpe|absolute_pos\w*)([._]|$)|pos(ition(al)?)?_emb", re.IGNORECASE
)


@check("C004", "loud position table", "warning", level="weights", preview=True, fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    tokens = [
        one.moments.rms
        for one in seen.parameters
        if one.layout.role == "embedding" and not _PLACES.search(one.name) and one.moments is not None and one.moments.rms > 0
    ]
    if not tokens:
        return
    for one in seen.parameters:
        m = one.moments
        if (
            m is not None
            and _PLACES.search(one.name)
            and len(one.shape) >= 2
            and one.random
            and m.std > max(0.5, 2 * max(tokens))
        ):
            yield Hit(
                one.name,
                f"its std is {m.std:.3g}, and the tokens' {max(tokens):.3g}",
                "draw it as the tokens are drawn",
                one.source,
            )
