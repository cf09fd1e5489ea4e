"""Gradients that differ by a thousand between layers of one stack.

What it does:
    Groups layers by name without indices; of six or more it compares the largest gradient (rms) that comes back to an output with the smallest.

Why it is bad:
    One learning rate cannot serve both: the signal dies or explodes on its way back.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(12)))
            for layer in self.layers:
                nn.init.normal_(layer.weight, std=0.25)

        def forward(self, x):
            return self.layers(x)

    inputs = torch.randn(16, 64) / 100

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(12)))
            for layer in self.layers:
                nn.init.normal_(layer.weight, std=0.125)

        def forward(self, x):
            return self.layers(x)

    inputs = torch.randn(16, 64) / 100

Fix safety:
    unsafe: another gain, normalisation, or residual branches.

References:
    Glorot and Bengio 2010; Hanin 2018
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("G004", "gradients drift with depth", "warning", level="grad", preview=True, fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    found = []
    for members in seen.stacks(lambda signal: signal.grad_rms):
        low, high = min(members, key=members.__getitem__), max(members, key=members.__getitem__)
        if len(members) >= 6 and members[high] > 1e3 * members[low]:
            found.append((members[high] / members[low], low, high, members))
    if found:
        _, low, high, members = max(found, key=lambda one: one[0])
        yield Hit(
            low,
            f"the gradient that comes back to it is {members[low]:.2g} (rms), and {members[high]:.2g} at {high}, "
            f"in one stack of {len(members)}",
            "draw with a gain that keeps the variance (initium.recipe('he')), or add normalisation",
            names=(low, high),
        )
