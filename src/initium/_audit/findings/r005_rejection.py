"""A draw that takes as many numbers as it needs.

What it does:
    Looks for values that were drawn again where those drawn first would not do: a rejection loop, as torch's own trunc_normal_ is since 2.12.

Why it is bad:
    How many numbers it takes depends on which it draws, and so does every tensor after it: a wider layer, another dtype or another bound changes
    all the weights that come later, also those it has nothing to do with.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            w = torch.randn(32, 32)
            while (w.abs() > 2).any():
                w = torch.where(w.abs() > 2, torch.randn(32, 32), w)
            self.weight = nn.Parameter(w * 0.2)

        def forward(self, x):
            return x @ self.weight

    inputs = torch.randn(4, 32)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            bound = torch.special.ndtr(torch.tensor(2.0))
            u = torch.rand(32, 32) * (2 * bound - 1) + (1 - bound)
            self.weight = nn.Parameter(torch.special.ndtri(u) * 0.2)

        def forward(self, x):
            return x @ self.weight

    inputs = torch.randn(4, 32)

Fix safety:
    safe: initium's streams are counted from each tensor's name.

References:
    torch.nn.init.trunc_normal_ of PyTorch 2.12
"""

from __future__ import annotations

from collections.abc import Iterator

from ..._errors import counted
from ..measure.seen import Seen
from ..measure.watch import Trace
from ..registry import Hit, check


def _behind(trace: Trace) -> Iterator[Trace]:
    """It, and all that its values come from."""
    seen, open_ = {trace}, [trace]
    while open_:
        one = open_.pop()
        yield one
        new = [parent for parent in one.parents if parent not in seen]
        seen.update(new)
        open_ += new


def _again(trace: Trace) -> bool:
    """Made by ``where`` out of two draws, by a mask that was computed from one of them."""
    if not any(write.op == "where" for write in trace.writes):
        return False
    drawn = [parent for parent in trace.parents if parent.random]
    masks = [parent for parent in drawn if any(other is not parent and other in set(_behind(parent)) for other in drawn)]
    return bool(masks) and len(drawn) >= 3


@check("R005", "drawn by rejection", "info", level="static", preview=True, needs=("construction", "model"), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    names = [one.name for one in seen.tensors.values() if one.trace is not None and any(map(_again, _behind(one.trace)))]
    if names:
        yield Hit(
            names[0],
            f"{counted(len(names), 'tensor was', 'tensors were')} drawn by rejection, which takes as many numbers as it happens to need",
            "initium.build or initium.initialize, where each tensor has a stream of its own",
            seen.tensors[names[0]].source,
            names=tuple(names),
        )
