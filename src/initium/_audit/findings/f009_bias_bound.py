"""A bias whose bound comes from another fan than its layer has.

What it does:
    Of biases that the model's own code draws from U(−b, b), compares b with 1/√fan_in of the weight beside it, and with what the shape of that
    weight reads as.

Why it is bad:
    The idiom ``fan_in, _ = _calculate_fan_in_and_fan_out(weight); bound = 1 / √fan_in`` reads (in, out) weights and grouped transposed ones the
    wrong way round.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose1d(64, 8, 4, stride=4)
            nn.init.normal_(self.up.weight, std=64**-0.5)
            fan_in, _ = nn.init._calculate_fan_in_and_fan_out(self.up.weight)
            nn.init.uniform_(self.up.bias, -(fan_in**-0.5), fan_in**-0.5)

        def forward(self, x):
            return self.up(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose1d(64, 8, 4, stride=4)
            nn.init.normal_(self.up.weight, std=64**-0.5)
            nn.init.zeros_(self.up.bias)

        def forward(self, x):
            return self.up(x)

Fix safety:
    safe: 0 is as good a start.

References:
    hand-written layers that copy Linear's reset
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "F009", "bias bound from the wrong fan", "info", level="static", preview=True, needs=("construction", "model"), fix="safe"
)
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        law, write = one.law, one.write
        if one.local != "bias" or law is None or law.kind != "uniform" or law.mean != 0 or write is None:
            continue
        if write.call is not None and write.call.by_module:
            continue
        weight = seen.tensors.get(one.name.removesuffix("bias") + "weight")
        if weight is None or weight.fans is None or len(weight.shape) < 2:
            continue
        by_shape, (fan, fan_out) = math.prod(weight.shape[1:]), weight.fans
        wrong = next(
            (n for n in (by_shape, fan_out) if n != fan and math.isclose(law.high * math.sqrt(n), 1, rel_tol=1e-5)), None
        )
        if wrong is not None:
            said = "the shape of its weight" if wrong == by_shape else "the fan_out of its weight"
            yield Hit(
                one.name,
                f"its bound {law.high:.3g} is 1/√{wrong}, by {said}, whose fan_in is {fan}",
                "nn.init.zeros_(bias), or 1/√fan_in of the module",
                one.source,
            )
