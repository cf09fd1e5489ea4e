"""The constructor sets torch's global seed.

What it does:
    Watches whether torch's generator is seeded while the model is built.

Why it is bad:
    The seed of the run no longer decides the weights: runs with different seeds start alike, and what is drawn after the model repeats too.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(42)
            self.first = nn.Linear(32, 32)

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)

        def forward(self, x):
            return self.first(x)

Fix safety:
    none: the line has to go, or to use a generator of its own.

References:
    ``manual_seed`` in a constructor
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("Y007", "the constructor sets the seed", "warning", level="static", needs=("construction", "model"), explains=("R001",))
def find(seen: Seen) -> Iterator[Hit]:
    site = seen.built.watch.reseeded if seen.built is not None else None
    if site is not None:
        yield Hit(
            "",
            "torch's generator is seeded while the model is built: the run's own seed does not decide the weights",
            "seed outside, or draw with a torch.Generator of your own",
            str(site),
        )
