"""A packed q, k, v weight that was drawn as one matrix.

What it does:
    Looks for Xavier and orthogonal draws on a whole weight that packs q, k and v.

Why it is bad:
    The fan_out of a (3E, E) matrix is 3E, that of each projection E: Xavier's std comes out √2 too small.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = nn.MultiheadAttention(32, 4, batch_first=True)
            nn.init.xavier_uniform_(self.attn.in_proj_weight)

        def forward(self, x):
            return self.attn(x, x, x)[0]

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = nn.MultiheadAttention(32, 4, batch_first=True)
            for part in self.attn.in_proj_weight.chunk(3):
                nn.init.xavier_uniform_(part)

        def forward(self, x):
            return self.attn(x, x, x)[0]

Fix safety:
    safe: for new code. (nn.MultiheadAttention's own constructor does the same; that is not reported, and a loop over all parameters
    that repeats it is a note.)

References:
    pytorch/pytorch #166378
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..judge import by_shape
from ..measure.seen import Seen
from ..registry import Hit, check


@check("F003", "packed q, k, v drawn as one matrix", "warning", level="static", needs=("construction", "model"), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    for one, call in by_shape(seen, ("xavier", "orthogonal")):
        blocks = one.layout.blocks
        if (
            len(blocks) > 1
            and call.shape == one.shape
            and {"q", "k", "v", "query", "key", "value"} & set(one.layout.block_names)
        ):
            yield Hit(
                one.name,
                f"{call.name} drew the {len(blocks)} projections packed in {'×'.join(map(str, one.shape))} as one matrix: "
                f"its fan_out is {len(blocks)} times that of each",
                "draw each part: for part in weight.chunk(3): nn.init.xavier_uniform_(part)",
                one.source,
                severity="info" if isinstance(one.module, nn.MultiheadAttention) and call.name == "xavier_uniform_" else None,
            )
