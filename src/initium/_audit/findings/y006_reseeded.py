"""Tensors of different shape that begin with the same random numbers.

What it does:
    Compares the first 16 values of all random tensors, up to scale.

Why it is bad:
    A generator that is seeded again before each layer gives each the same numbers: layers are correlated, and a seed means less than it
    says.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList()
            for width in (32, 48, 64):
                torch.manual_seed(1)
                self.layers.append(nn.Linear(32, width, bias=False))

        def forward(self, x):
            return sum(layer(x).sum(-1) for layer in self.layers)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList()
            for width in (32, 48, 64):
                self.layers.append(nn.Linear(32, width, bias=False))

        def forward(self, x):
            return sum(layer(x).sum(-1) for layer in self.layers)

Fix safety:
    unsafe: initium's plans give every tensor its own stream by name.

References:
    ``manual_seed`` in a constructor
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..measure.seen import Seen
from ..registry import Hit, check


@check("Y006", "tensors share one stream", "error", level="weights", fix="unsafe", explains=("R001", "Y007", "Y008"))
def find(seen: Seen) -> Iterator[Hit]:
    names_of, heads = [], []
    for one in seen.parameters:
        m, tensor = one.moments, one.tensor
        if m is None or tensor is None or m.size < 64 or m.constant or not one.random or one.computed:
            continue
        if tensor.is_floating_point():
            names_of.append(one.name)
            heads.append(tensor.reshape(-1)[:16].double().cpu())
    if not heads:
        return
    begun = torch.stack(heads)
    groups: dict[tuple[float, ...], list[str]] = {}
    for name, head in zip(names_of, (begun / begun.abs().amax(1, keepdim=True)).round(decimals=4).tolist(), strict=True):
        groups.setdefault(tuple(head), []).append(name)
    for head, names in groups.items():
        shapes = {seen.tensors[name].shape for name in names}
        if len(shapes) > 1 and len(set(head)) >= 12:
            yield Hit(
                names[0],
                f"{len(names)} tensors of {len(shapes)} shapes begin with the same random numbers",
                "seed once, before the model is built",
                seen.tensors[names[0]].source,
                names=tuple(names),
            )
