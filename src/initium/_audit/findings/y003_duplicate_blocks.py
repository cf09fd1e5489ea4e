"""Heads, gates, experts or shards of one tensor that start with the same weights.

What it does:
    Compares the logical weights that are packed in one tensor: q, k and v, the gates of a recurrent layer, the experts of a stack.

Why it is bad:
    Experts that start equal get equal gradients when they get equal tokens; q equal to k makes attention look at itself.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = nn.MultiheadAttention(32, 4, batch_first=True)
            with torch.no_grad():
                self.attn.in_proj_weight.copy_(nn.init.xavier_normal_(torch.empty(32, 32)).repeat(3, 1))

        def forward(self, x):
            return self.attn(x, x, x)[0]

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = nn.MultiheadAttention(32, 4, batch_first=True)
            with torch.no_grad():
                for part in self.attn.in_proj_weight.chunk(3):
                    nn.init.xavier_normal_(part)

        def forward(self, x):
            return self.attn(x, x, x)[0]

Fix safety:
    unsafe: sharing the start of q and k may be meant.

References:
    tensor-parallel ranks that draw with one seed
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..measure.seen import Seen
from ..registry import Hit, check


@check("Y003", "packed weights start identical", "error", level="weights", fix="unsafe", explains=("Y002", "G005"))
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.parameters:
        layout, tensor = one.layout, one.tensor
        if tensor is None or one.moments is None or one.moments.constant or not one.random or one.computed:
            continue
        if len(one.shape) < 2 or layout.role not in ("weight", "parameter"):
            continue
        loose = (
            layout.role == "parameter" and min(one.shape) > 1
        )  # of no known layer: nothing that is drawn repeats along its first axis
        if (layout.batch_axes == (0,) or loose) and len(one.shape) > 2:
            parts = list(tensor.unbind(0))
            words = "stacked weights"
        elif len(layout.blocks) > 1 and layout.repeats == 1 and sum(layout.blocks) == one.shape[layout.block_axis]:
            parts = list(tensor.split(list(layout.blocks), layout.block_axis))
            words = ", ".join(layout.block_names) or "blocks"
        else:
            continue
        if parts[0].numel() < 16:
            continue
        same = sum(part.shape == parts[0].shape and torch.equal(part, parts[0]) for part in parts[1:])
        if same:
            yield Hit(
                one.name,
                f"{same + 1} of the {len(parts)} weights packed in it ({words}) hold the same values",
                "draw each by itself",
                one.source,
            )
