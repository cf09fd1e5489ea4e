"""An expectation that nothing fits any more.

What it does:
    Compares what ``initium.expect`` says with what was found.

Why it is bad:
    It would hide the next finding of that code, which may be a real one.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            initium.expect("first.weight", "Y004", reason="an average")

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            nn.init.constant_(self.first.weight, 0.1)
            initium.expect("first.weight", "Y004", reason="an average")

        def forward(self, x):
            return self.first(x)

Fix safety:
    safe: take the line out.

References:
    ruff's RUF100
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("X001", "unused expectation", "warning", level="static", fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    yield from ()  # the runner knows what was found, and reports these itself
