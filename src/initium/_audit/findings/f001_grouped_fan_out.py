"""A grouped convolution whose fan_out was not divided by its groups.

What it does:
    Looks for Kaiming draws by ``fan_out``, or a normal of std √(2 / (k² · out)), on convolutions with groups.

Why it is bad:
    torch takes the fan from the shape: of a depthwise 3×3 convolution of 960 channels fan_out is 8640 where it is 9. The weights are
    31 times too small; only a normalisation behind it hides that.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.depthwise = nn.Conv2d(64, 64, 3, groups=64)
            nn.init.kaiming_normal_(self.depthwise.weight, mode="fan_out")

        def forward(self, x):
            return self.depthwise(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.depthwise = nn.Conv2d(64, 64, 3, groups=64)
            nn.init.normal_(self.depthwise.weight, std=(2 / 9) ** 0.5)

        def forward(self, x):
            return self.depthwise(x)

Fix safety:
    safe: for new code; a trained model keeps what it learnt.

References:
    pytorch/pytorch #23854; huggingface/pytorch-image-models #84; torchvision's mobilenet_v2
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn

from ..measure.seen import Seen
from ..registry import Hit, check


@check("F001", "fan_out of a grouped convolution", "warning", level="static", needs=("construction", "model"), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        module, write = one.module, one.write
        if not isinstance(module, nn.modules.conv._ConvNd) or module.groups == 1 or one.local != "weight" or write is None:
            continue
        wrong = module.out_channels * math.prod(module.kernel_size)
        right = wrong // module.groups
        call, law = write.call, write.law
        by_call = call is not None and call.name.startswith("kaiming") and call.said.get("mode") == "fan_out"
        by_hand = call is None or call.name == "normal_"
        by_hand = (
            by_hand and law is not None and law.kind == "normal" and math.isclose(law.std, math.sqrt(2 / wrong), rel_tol=1e-6)
        )
        if by_call or by_hand:
            yield Hit(
                one.name,
                f"fan_out is taken as {wrong}; with {module.groups} groups it is {right}: "
                f"the weights are {math.sqrt(wrong / right):.1f} times too small",
                "initium.init with the module's layout, or nn.init.normal_(w, std=√(2 / (fan_out / groups)))",
                one.source,
            )
