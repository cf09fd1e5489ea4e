"""A forget gate that starts half shut, or is opened twice.

What it does:
    Reads the forget slice of both biases of nn.LSTM and LSTMCell; torch adds the two.

Why it is bad:
    With a sum of 0 the gate is ½, and a cell forgets half of its memory at each step: after ten steps a thousandth is left. 1 is usual; 1 in
    both biases is 2.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(32, 32, batch_first=True)

        def forward(self, x):
            return self.rnn(x)[0]

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(32, 32, batch_first=True)
            with torch.no_grad():
                self.rnn.bias_hh_l0[32:64] = 0
                self.rnn.bias_ih_l0[32:64] = 1

        def forward(self, x):
            return self.rnn(x)[0]

Fix safety:
    unsafe: it changes what the cell remembers at the start.

References:
    Gers and others 2000; Jozefowicz and others 2015; pytorch/pytorch #750, #20102
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn

from ..measure.seen import Seen
from ..registry import Hit, check


@check("C007", "forget gate half shut", "info", level="weights", preview=True, needs=("model",), fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.parameters:
        module, other = one.module, seen.tensors.get(one.name.replace("bias_ih", "bias_hh"))
        if not isinstance(module, (nn.LSTM, nn.LSTMCell)) or not one.local.startswith("bias_ih"):
            continue
        if one.tensor is None or other is None or other.tensor is None:
            continue
        size = module.hidden_size
        start = float((one.tensor + other.tensor)[size : 2 * size].float().mean())
        if not 0.5 < start < 1.5:
            gate = 1 / (1 + math.exp(-min(max(start, -30), 30)))
            yield Hit(
                one.name,
                f"the two biases of its forget gate add up to {start:.2g}: the gate starts at {gate:.2g}",
                f"with torch.no_grad(): {one.local}[{size}:{2 * size}] = 1, and 0 in the other",
                one.source,
                names=(one.name, other.name),
            )
