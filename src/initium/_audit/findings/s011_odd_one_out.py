"""One layer of a stack is initialised otherwise than its siblings.

What it does:
    Groups weights by name without indices, and shape. Where at least five siblings have the same std to within chance, it reports the few
    whose std differs by more than 10 %.

Why it is bad:
    It is what a loop that stops one short, or a name that a pattern misses, leaves behind.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(8))
            for layer in self.layers[:-1]:
                nn.init.normal_(layer.weight, std=0.1)

        def forward(self, x):
            for layer in self.layers:
                x = x + layer(x)
            return x

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(8))
            for layer in self.layers:
                nn.init.normal_(layer.weight, std=0.1)

        def forward(self, x):
            for layer in self.layers:
                x = x + layer(x)
            return x

Fix safety:
    unsafe: the odd one may be meant.

References:
    one forgotten block
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from ..._grouping import without_indices
from ..judge import family_z
from ..measure.seen import Seen
from ..registry import Hit, check


@check("S011", "one of a stack is initialised otherwise", "warning", level="weights", fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    groups: dict[tuple[str, tuple[int, ...]], list[tuple[str, float, int, str | None]]] = {}
    for one in seen.weights:
        m = one.moments
        if m is not None and m.size >= 256 and m.std > 0 and one.random and not one.computed:
            key = without_indices(one.name), one.shape
            groups.setdefault(key, []).append((one.name, m.std, m.size, one.source))
    limit = family_z(sum(map(len, groups.values())))
    for members in groups.values():
        if len(members) < 6:
            continue
        middle = median(std for _, std, _, _ in members)
        odd = [m for m in members if abs(m[1] / middle - 1) > max(0.1, limit * math.sqrt(2 / m[2]))]
        if not 0 < len(odd) <= max(1, len(members) // 6):
            continue
        rest = [m for m in members if m not in odd]
        if any(abs(m[1] / middle - 1) > max(0.02, limit * math.sqrt(2 / m[2])) for m in rest):
            continue  # they all differ: scaled by depth
        for name, std, _, source in odd:
            yield Hit(
                name,
                f"its std is {std:.4g}, and that of its {len(rest)} siblings {middle:.4g}",
                "see whether the loop or the pattern that initialises the others misses it",
                source,
            )
