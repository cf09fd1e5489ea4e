"""A gain for one activation before another.

What it does:
    Where a Kaiming draw says which nonlinearity follows, compares it with the activation module that is called right after the layer.

Why it is bad:
    ReLU's gain is √2 because half of its inputs are lost. Before a tanh or a sigmoid it saturates, and before nothing it doubles the variance;
    without it a stack of ReLUs halves its variance at each layer.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.act = nn.Linear(64, 64), nn.ReLU()
            nn.init.kaiming_normal_(self.first.weight, nonlinearity="linear")

        def forward(self, x):
            return self.act(self.first(x))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.act = nn.Linear(64, 64), nn.ReLU()
            nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")

        def forward(self, x):
            return self.act(self.first(x))

Fix safety:
    unsafe: it changes the std.

References:
    He and others 2015; PyTorch's table of gains
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from ..judge import by_shape
from ..measure.seen import Seen
from ..registry import Hit, check

_RECTIFIERS = ("ReLU", "ReLU6", "LeakyReLU")
_GAINS = {"relu": math.sqrt(2.0), "tanh": 5 / 3}
_SATURATING = ("Tanh", "Sigmoid", "Softsign", "Hardsigmoid", "Hardtanh")


@check(
    "F011", "gain of another activation", "info", level="forward", preview=True, needs=("construction", "model"), fix="unsafe"
)
def find(seen: Seen) -> Iterator[Hit]:
    after = {first.name: second.kind for first, second in pairwise(seen.signals)}
    for one, call in by_shape(seen, ("kaiming", "xavier", "orthogonal")):
        if not call.name.startswith("kaiming"):
            gain = call.said.get("gain", 1.0)
            named = next(
                (word for word, value in _GAINS.items() if isinstance(gain, float) and math.isclose(gain, value)), None
            )
            kind = after.get(one.name.rpartition(".")[0], "")
            if (named, kind in _RECTIFIERS, kind in _SATURATING) in (("tanh", True, False), ("relu", False, True)):
                yield Hit(
                    one.name,
                    f"its gain {gain:.4g} is that of {named}, and what follows is {kind}",
                    f"gain=nn.init.calculate_gain({('relu' if kind in _RECTIFIERS else kind.lower())!r})",
                    one.source,
                )
            continue
        said = str(call.said.get("nonlinearity", "leaky_relu"))
        slope = call.said.get("a", 0)
        if said == "leaky_relu" and isinstance(slope, (int, float)) and abs(slope) > 0.5:
            continue  # torch's own √5, copied
        kind = after.get(one.name.rpartition(".")[0], "")
        declared = "rectifier" if said in ("relu", "leaky_relu") else "other"
        meets = "rectifier" if kind in _RECTIFIERS else "other" if kind in _SATURATING else ""
        if meets and declared != meets:
            yield Hit(
                one.name,
                f"{call.name} drew it for {said}, and what follows is {kind}",
                f"say nonlinearity={'relu' if meets == 'rectifier' else kind.lower()!r}, or initium.recipe('he') and 'xavier'",
                one.source,
            )
