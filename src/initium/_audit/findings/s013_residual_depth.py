"""Some ends of residual branches are scaled by depth, and others are not.

What it does:
    Looks for stacks whose std is smaller by √(2 · depth) than that of the other weights, and reports ends of residual branches in the same blocks
    that are not.

Why it is bad:
    GPT-2 scales both projections that write to the residual stream, so that its variance does not grow with depth. A rule by name that misses
    one of them does half of it.

Example:
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(32), nn.LayerNorm(32)
            self.first, self.c_proj = nn.Linear(32, 32), nn.Linear(32, 32)
            self.fc, self.out = nn.Linear(32, 64), nn.Linear(64, 32)

        def forward(self, x):
            x = x + self.c_proj(torch.tanh(self.first(self.norm1(x))))
            return x + self.out(torch.relu(self.fc(self.norm2(x))))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(Block() for _ in range(8))
            for name, weight in self.named_parameters():
                if weight.dim() == 2:
                    nn.init.normal_(weight, std=0.1 / 4 if name.endswith("c_proj.weight") else 0.1)

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return x

Use instead:
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(32), nn.LayerNorm(32)
            self.first, self.c_proj = nn.Linear(32, 32), nn.Linear(32, 32)
            self.fc, self.out = nn.Linear(32, 64), nn.Linear(64, 32)

        def forward(self, x):
            x = x + self.c_proj(torch.tanh(self.first(self.norm1(x))))
            return x + self.out(torch.relu(self.fc(self.norm2(x))))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(Block() for _ in range(8))
            for name, weight in self.named_parameters():
                if weight.dim() == 2:
                    last = name.endswith(("c_proj.weight", "out.weight"))
                    nn.init.normal_(weight, std=0.1 / 4 if last else 0.1)

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return x

Fix safety:
    unsafe: one branch may be scaled on purpose.

References:
    Radford and others 2019
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from ..._structure.structure import structure_of
from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "S013",
    "residual end not scaled by depth",
    "info",
    level="weights",
    preview=True,
    needs=("construction", "model"),
    fix="unsafe",
)
def find(seen: Seen) -> Iterator[Hit]:
    assert seen.inv is not None
    stds = {one.name: one.law.std for one in seen.weights if one.law is not None and one.law.known}
    if len(stds) < 8:
        return
    usual = median(stds.values())
    if min(stds.values()) > usual / math.sqrt(6):
        return
    structure = structure_of(seen.inv)
    places = {slot.name: structure.place(slot) for slot in seen.inv.slots if slot.name in stds}
    ends = {name: place for name, place in places.items() if place.layer is not None and "residual_out" in place.roles}
    by_depth = {
        name
        for name, place in ends.items()
        if math.isclose(stds[name] * math.sqrt(2 * (place.depth or 1)), usual, rel_tol=0.03)
    }
    if len(by_depth) < 3:
        return
    for name in ends:
        if math.isclose(stds[name], usual, rel_tol=0.03):
            yield Hit(
                name,
                f"its std is {usual:.3g}; that of {len(by_depth)} other ends of residual branches is smaller by √(2 · {ends[name].depth})",
                "let the rule by name take it in",
                seen.tensors[name].source,
            )
