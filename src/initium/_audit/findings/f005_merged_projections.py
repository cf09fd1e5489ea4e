"""A merged projection that was drawn as one matrix.

What it does:
    Looks for Xavier, or Kaiming by fan_out, over weights that hold several logical ones side by side: gate and up of a SwiGLU, keys and values.

Why it is bad:
    The fan_out that such a draw reads is that of all parts together: Xavier's std of two merged squares is too small by √(3/2).

Example:
    class GatedUp(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(128, 32))
            nn.init.xavier_uniform_(self.weight)

        def forward(self, x):
            gate, up = F.linear(x, self.weight).chunk(2, -1)
            return F.silu(gate) * up

    @initium.module(GatedUp)
    def gated_up(module):
        return {"weight": initium.Layout("weight", blocks=(64, 64), block_names=("gate", "up"))}

    Model = GatedUp
    inputs = torch.randn(4, 32)

Use instead:
    class GatedUp(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(128, 32))
            for part in self.weight.chunk(2):
                nn.init.xavier_uniform_(part)

        def forward(self, x):
            gate, up = F.linear(x, self.weight).chunk(2, -1)
            return F.silu(gate) * up

    @initium.module(GatedUp)
    def gated_up(module):
        return {"weight": initium.Layout("weight", blocks=(64, 64), block_names=("gate", "up"))}

    Model = GatedUp
    inputs = torch.randn(4, 32)

Fix safety:
    safe: for new code; it changes the std of a published recipe.

References:
    merged gate and up, key and value, Mamba's in_proj
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..judge import by_shape
from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "F005",
    "merged projection drawn as one matrix",
    "info",
    level="static",
    preview=True,
    needs=("construction", "model"),
    fix="safe",
)
def find(seen: Seen) -> Iterator[Hit]:
    for one, call in by_shape(seen, ("xavier", "kaiming", "orthogonal")):
        layout = one.layout
        if len(layout.blocks) < 2 or call.shape != one.shape or isinstance(one.module, (nn.RNNBase, nn.RNNCellBase)):
            continue
        if {"q", "k", "v", "query", "key", "value"} & set(layout.block_names):
            continue  # F003
        if call.name.startswith("kaiming") and call.said.get("mode") != "fan_out":
            continue
        names = ", ".join(layout.block_names) or f"{len(layout.blocks)} parts"
        yield Hit(
            one.name,
            f"{call.name} drew {names} of {'×'.join(map(str, one.shape))} as one matrix",
            f"draw each: for part in weight.split({list(layout.blocks)}, {layout.block_axis}): nn.init.{call.name}(part)",
            one.source,
        )
