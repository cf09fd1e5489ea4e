"""All weights of a branch are zero, so that none of them can start to learn.

What it does:
    Where no gradient could be looked at: modules with at least two weight matrices that are all 0. (With a backward pass G003 tells exactly.)

Why it is bad:
    One zero matrix at the end of a branch is a good start; a product of two has no gradient in either.

Example:
    level = "weights"

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(32, 32)
            self.lora = nn.Sequential(nn.Linear(32, 4, bias=False), nn.Linear(4, 32, bias=False))
            for layer in self.lora:
                nn.init.zeros_(layer.weight)

        def forward(self, x):
            return self.base(x) + self.lora(x)

Use instead:
    level = "weights"

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(32, 32)
            self.lora = nn.Sequential(nn.Linear(32, 4, bias=False), nn.Linear(4, 32, bias=False))
            nn.init.zeros_(self.lora[1].weight)

        def forward(self, x):
            return self.base(x) + self.lora(x)

Fix safety:
    unsafe: which of them is to be drawn is the author's to say.

References:
    facebookresearch/fairseq #3131; LoRA with both factors 0
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("Y005", "a branch of zeros", "warning", level="weights", needs=("model",), fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    if seen.probe is not None and seen.probe.has_gradients:
        return
    below: dict[str, list[tuple[str, bool]]] = {}
    for one in seen.weights:
        m = one.moments
        if one.slot is None or not one.slot.tensor.requires_grad or m is None:
            continue
        parent = one.name.rpartition(".")[0].rpartition(".")[0]
        below.setdefault(parent, []).append((one.name, m.constant and m.low == 0))
    for parent, members in below.items():
        if parent and len(members) > 1 and all(zero for _, zero in members):
            yield Hit(
                members[0][0],
                f"all {len(members)} weight matrices of {parent} are 0: none of them has a gradient",
                "leave one of them random, the last one 0",
                seen.tensors[members[0][0]].source,
                names=tuple(name for name, _ in members),
            )
