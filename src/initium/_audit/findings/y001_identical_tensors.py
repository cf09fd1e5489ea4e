"""Two layers that start with the same random weights.

What it does:
    Compares all random tensors of one shape, bit by bit, across modules. Twins that are meant (a target or teacher network, frozen or without a
    gradient) are left out.

Why it is bad:
    ``copy.deepcopy`` of one layer, as ``nn.TransformerEncoder`` does, gives every layer the same weights. They get different gradients, but the
    stack starts as one layer repeated, which random initialisation was there to avoid.

Example:
    import copy

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.Linear(32, 32)
            self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(3))

        def forward(self, x):
            for layer in self.layers:
                x = x + layer(x).relu()
            return x

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))

        def forward(self, x):
            for layer in self.layers:
                x = x + layer(x).relu()
            return x

Fix safety:
    unsafe: drawing them anew changes what the constructor gave.

References:
    pytorch/pytorch #72253, #86274, #120396; pytorch/torchtune #2270
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..measure.likeness import equal_groups
from ..measure.seen import Seen
from ..registry import Hit, check

_TWIN = re.compile(r"target|ema|teacher|momentum|shadow|_k\b|old|frozen", re.IGNORECASE)


@check("Y001", "layers start identical", "error", level="weights", fix="unsafe", explains=("Y006",))
def find(seen: Seen) -> Iterator[Hit]:
    items = []
    for one in seen.sound:
        m = one.moments
        if m is None or m.constant or m.size < 16 or not one.random or one.computed or one.tensor is None:
            continue
        if one.slot is not None and (one.is_buffer or not one.slot.tensor.requires_grad or _TWIN.search(one.name)):
            continue
        if seen.probe is not None and seen.probe.has_gradients and seen.probe.gradients.get(one.name) is None:
            continue  # no gradient reaches it: a twin that is not trained
        items.append((one.name, (one.shape, one.tensor.dtype, m.mark), one.tensor))
    for group in equal_groups(items):
        first = seen.tensors[group[0]]
        yield Hit(
            group[0],
            f"{len(group)} tensors of {'×'.join(map(str, first.shape))} hold the same random values",
            "build each layer anew instead of copying one, or initialise the copies: initium.initialize(model, …)",
            first.source,
            names=tuple(group),
        )
