"""A draw whose values depend on the memory format.

What it does:
    Looks for random writes into convolution weights that lie in channels_last.

Why it is bad:
    torch fills memory in its order: the same seed gives other weights to the same layer in channels_last. A run is not repeated by one that differs
    in that flag only.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(16, 16, 3).to(memory_format=torch.channels_last)
            nn.init.kaiming_normal_(self.conv.weight)

        def forward(self, x):
            return self.conv(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(16, 16, 3)
            nn.init.kaiming_normal_(self.conv.weight)
            self.conv.to(memory_format=torch.channels_last)

        def forward(self, x):
            return self.conv(x)

Fix safety:
    safe: draw first, change the format then; initium's values do not depend on it.

References:
    torch.channels_last
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "L004",
    "values depend on the memory format",
    "info",
    level="static",
    preview=True,
    needs=("construction", "model"),
    fix="safe",
)
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        write = one.write
        if write is None or write.dense or one.is_buffer or len(write.shape) not in (4, 5):
            continue
        if write.random and (write.call is not None or write.op in ("normal_", "uniform_")):
            yield Hit(
                one.name,
                f"{write.call.name if write.call else write.op} drew it in a memory format that is not contiguous",
                "draw first, .to(memory_format=…) then; or initium.initialize",
                one.source,
            )
