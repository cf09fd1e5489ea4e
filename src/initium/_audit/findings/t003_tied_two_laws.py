"""A tied weight that two rules initialise with different laws.

What it does:
    Looks at the draws of tensors with two names: more than one whole draw by the model's own code, of different std.

Why it is bad:
    Which of the two holds depends on the order in which modules are visited.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(50, 32)
            self.head = nn.Linear(32, 50, bias=False)
            self.head.weight = self.tokens.weight
            nn.init.normal_(self.tokens.weight, std=0.02)
            nn.init.xavier_normal_(self.head.weight)

        def forward(self, ids):
            return self.head(self.tokens(ids))

    level = "weights"

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(50, 32)
            self.head = nn.Linear(32, 50, bias=False)
            self.head.weight = self.tokens.weight
            nn.init.normal_(self.tokens.weight, std=0.02)

        def forward(self, ids):
            return self.head(self.tokens(ids))

    level = "weights"

Fix safety:
    safe: one rule for the tensor.

References:
    an embedding of std 1 whose head is drawn by Xavier
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "T003",
    "tied weight drawn by two laws",
    "warning",
    level="static",
    needs=("construction", "model"),
    fix="safe",
    explains=("F010", "R003"),
)
def find(seen: Seen) -> Iterator[Hit]:
    assert seen.inv is not None
    for name in dict.fromkeys(slot.tied_to for slot in seen.inv.slots if slot.tied_to is not None):
        one = seen.tensors.get(name)
        if one is None or one.trace is None:
            continue
        draws = [w for w in one.trace.writes if w.call is not None and not w.call.by_module and w.random and w.whole and w.law]
        stds = {round(w.law.std, 9): w for w in draws if w.law is not None and w.law.known}
        if len(stds) > 1:
            said = ", then ".join(f"std {w.law.std:.3g} at {w.site}" for w in draws if w.law is not None)
            yield Hit(
                name,
                f"its tied names are drawn by {len(stds)} laws: {said}",
                "initialise it under one of its names",
                one.source,
            )
