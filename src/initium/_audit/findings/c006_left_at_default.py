"""A weight that is left as torch.nn's constructor drew it, where most were initialised again.

What it does:
    Looks at who had the last word on each weight. Where a model's own code initialised at least 60 % of its weights, and five of them, it
    reports those, heads left out, that still hold what the class's own reset drew.

Why it is bad:
    It is what a branch on the module's type that knows Linear and forgets Conv2d leaves behind; the model mixes two schemes.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(32, 32) for _ in range(6)))
            self.join = nn.Bilinear(32, 32, 4)
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, std=0.17)

        def forward(self, x):
            x = self.layers(x)
            return self.join(x, x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(32, 32) for _ in range(6)))
            self.join = nn.Bilinear(32, 32, 4)
            for module in self.modules():
                if isinstance(module, (nn.Linear, nn.Bilinear)):
                    nn.init.normal_(module.weight, std=0.17)

        def forward(self, x):
            x = self.layers(x)
            return self.join(x, x)

Fix safety:
    unsafe: a head is often left on purpose.

References:
    torchvision's vit_b_16: each ``out_proj`` beside a re-initialised ``in_proj``; detection heads beside a Kaiming backbone
"""

from __future__ import annotations

from collections.abc import Iterator

from ..._structure.names import calls_itself_head
from ..measure.seen import Seen
from ..registry import Hit, check


@check("C006", "left at torch's default", "info", level="static", preview=True, needs=("construction", "model"), fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    left, decided = [], 0
    for one in seen.tensors.values():
        write = one.write
        if (
            write is None
            or one.is_buffer
            or one.original
            or one.layout.role not in ("weight", "embedding")
            or len(one.shape) < 2
        ):
            continue
        if write.call is not None and write.call.by_module and write.random:
            if not calls_itself_head(one.name.rpartition(".")[0]):
                left.append(one)
        elif not write.loaded:
            decided += 1
    if decided < 5 or decided < 1.5 * len(left):
        return
    for one in left:
        yield Hit(
            one.name,
            f"it is left as torch's {type(one.module).__name__} drew it; {decided} other weights were initialised again",
            "see whether the rule that initialises the others means to leave it out",
            one.source,
        )
