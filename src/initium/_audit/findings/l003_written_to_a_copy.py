"""An initialisation that was written to a copy of a part of the model.

What it does:
    Looks for init functions and draws in place whose target is the result of indexing by a list or mask, of a cast, a ``clone`` or a
    device copy, and went nowhere.

Why it is bad:
    ``weight[[0, 2]].normal_()`` and ``nn.init.orthogonal_(weight.float())`` change a copy; the weight stays as it was. A slice
    (``weight[:2]``) is a view and works, which is why this is easy to miss.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            with torch.no_grad():
                nn.init.normal_(self.first.weight[[0, 2, 4]], std=0.01)

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            with torch.no_grad():
                self.first.weight[[0, 2, 4]] = nn.init.normal_(torch.empty(3, 32), std=0.01)

        def forward(self, x):
            return self.first(x)

Fix safety:
    none: the line has to assign its result.

References:
    microsoft/DeepSpeed #2650; pytorch/pytorch #139735
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check
from .u012_init_without_effect import COPIES, place


@check("L003", "an init written to a copy", "error", level="static", needs=("construction", "model"))
def find(seen: Seen) -> Iterator[Hit]:
    for lost in seen.lost:
        if lost.made_by in COPIES:
            shape = "×".join(map(str, lost.shape)) or "()"
            yield Hit(
                place(seen, lost),
                f"{lost.function} wrote to a copy of {shape} (made by {lost.made_by.strip('_')}): the model does not change",
                "assign the result: weight[index] = nn.init.…(torch.empty(…)), or weight.copy_(…)",
                str(lost.write.site),
            )
