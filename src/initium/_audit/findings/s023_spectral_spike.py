"""A matrix with a direction that independent draws do not have.

What it does:
    Compares the largest singular value of random weights with the end of the Marchenko–Pastur law for their shape and variance, in units of
    Tracy and Widom; reports more than 8, and more than 5 %.

Why it is bad:
    All units share that direction: a mean that is not 0, a row added to all, a product of small rank. It carries every signal the same way, and a
    step along it is much larger than along the others.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
            with torch.no_grad():
                self.first.weight.add_(torch.ones(64, 1) * torch.randn(64) / 10)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
            nn.init.kaiming_normal_(self.first.weight)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

Fix safety:
    unsafe: rarely, it is meant.

References:
    Marchenko and Pastur 1967; Johnstone 2001; Tracy and Widom 1996
"""

from __future__ import annotations

from collections.abc import Iterator

from ..._capture.fold import WHOLE
from ..measure.seen import Seen, TensorSeen
from ..registry import Hit, check


def _independent(one: TensorSeen) -> bool:
    """Drawn, and not by a law whose elements depend on one another, nor by parts with laws of their own."""
    trace, call = one.trace, one.call
    if trace is None or not trace.random or one.layout.role != "weight" or any(w.loaded or not w.whole for w in trace.writes):
        return False
    if call is not None and call.name in WHOLE:
        return False
    return one.law is None or one.law.kind != "orthogonal"


@check(
    "S023", "spectral spike", "warning", level="weights", preview=True, needs=("construction", "model", "spectra"), fix="unsafe"
)
def find(seen: Seen) -> Iterator[Hit]:
    for name, parts in seen.spectra.items():
        one = seen.tensors[name]
        if not _independent(one):
            continue
        worst = max(parts, key=lambda part: part.edge)
        if worst.edge > 8 and worst.beyond > 1.05:
            yield Hit(
                name,
                f"its largest singular value is {worst.beyond:.2f} times the largest that independent elements of its variance give",
                "draw it by one law of mean 0; see which line adds to it",
                one.source,
            )
