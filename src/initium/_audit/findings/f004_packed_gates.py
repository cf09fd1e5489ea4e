"""Gates of a recurrent layer that were drawn as one matrix.

What it does:
    Looks for Xavier and orthogonal draws on a whole ``weight_ih`` or ``weight_hh``.

Why it is bad:
    An orthogonal (4H, H) matrix has orthonormal columns, and none of its four (H, H) gates is orthogonal: each shrinks the state by half.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(32, 32, batch_first=True)
            nn.init.orthogonal_(self.rnn.weight_hh_l0)

        def forward(self, x):
            return self.rnn(x)[0]

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(32, 32, batch_first=True)
            for gate in self.rnn.weight_hh_l0.chunk(4):
                nn.init.orthogonal_(gate)

        def forward(self, x):
            return self.rnn(x)[0]

Fix safety:
    safe: for new code.

References:
    vwxyzjn/cleanrl #358; pytorch/pytorch #9221
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..judge import by_shape
from ..measure.seen import Seen
from ..registry import Hit, check


@check("F004", "packed gates drawn as one matrix", "warning", level="static", needs=("construction", "model"), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    for one, call in by_shape(seen, ("xavier", "orthogonal", "kaiming")):
        blocks = one.layout.blocks
        packed = isinstance(one.module, (nn.RNNBase, nn.RNNCellBase)) and len(blocks) > 1 and call.shape == one.shape
        if packed and (not call.name.startswith("kaiming") or call.said.get("mode") == "fan_out"):
            yield Hit(
                one.name,
                f"{call.name} drew its {len(blocks)} gates as one matrix of {'×'.join(map(str, one.shape))}",
                f"draw each gate: for gate in {one.local}.chunk({len(blocks)}): nn.init.{call.name}(gate)",
                one.source,
            )
