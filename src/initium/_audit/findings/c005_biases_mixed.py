"""Biases of which most are 0 and a few are random.

What it does:
    Counts the biases of Linear and convolution layers; where at least 80 % of ten or more are constant, it reports those that are random.

Why it is bad:
    A bias left as torch drew it, U(±1/√fan_in), beside biases of 0: most often its layer was left out of the rule.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(32, 32) for _ in range(12)))
            for layer in self.layers[:-1]:
                nn.init.zeros_(layer.bias)

        def forward(self, x):
            return self.layers(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(32, 32) for _ in range(12)))
            for layer in self.layers:
                nn.init.zeros_(layer.bias)

        def forward(self, x):
            return self.layers(x)

Fix safety:
    safe: nn.init.zeros_(layer.bias).

References:
    a rule for weights only, or one layer that it misses
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..measure.seen import Seen
from ..registry import Hit, check


def _plain(module: nn.Module | None) -> bool:
    return isinstance(module, (nn.Linear, nn.modules.conv._ConvNd))


@check("C005", "a few biases are random", "info", level="weights", preview=True, needs=("model",), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    biases = [
        one
        for one in seen.parameters
        if one.layout.role == "bias" and one.moments is not None and one.moments.size > 1 and _plain(one.module)
    ]
    drawn = [one for one in biases if one.random and one.moments is not None and not one.moments.constant]
    if len(biases) < 10 or not 0 < len(drawn) <= len(biases) / 5:
        return
    for one in drawn:
        yield Hit(
            one.name,
            f"it is random, and {len(biases) - len(drawn)} of the model's {len(biases)} biases are constant",
            "nn.init.zeros_(layer.bias)",
            one.source,
        )
