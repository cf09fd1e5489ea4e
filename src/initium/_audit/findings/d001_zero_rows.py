"""Units whose weights are all zero in a layer that is drawn.

What it does:
    Looks for rows and columns of zeros in random weights, other than the padding row of an embedding.

Why it is bad:
    A zero row is a unit that outputs its bias for every input; a zero column is an input that the layer does not read.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            with torch.no_grad():
                self.first.weight[24:] = 0

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)

        def forward(self, x):
            return self.first(x)

Fix safety:
    unsafe: a mask may be meant.

References:
    a loop over units that stops short
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.law import PATTERNED
from ..measure.seen import Seen
from ..registry import Hit, check


@check("D001", "rows or columns of zeros", "warning", level="weights", fix="unsafe", explains=("D010", "S002"))
def find(seen: Seen) -> Iterator[Hit]:
    padding: dict[str, set[int]] = {}  # of a tied weight, under whatever name the padding row is known
    for slot in seen.inv.slots if seen.inv is not None else ():
        if slot.layout.zero_rows:
            padding.setdefault(slot.tied_to or slot.name, set()).update(slot.layout.zero_rows)
    for one in seen.weights:
        rows, layout = one.rows, one.layout
        if rows is None or one.computed or rows.columns < 8 or rows.rows < 2:
            continue
        if not one.random or (one.call is not None and one.call.name in PATTERNED) or layout.groups > 1:
            continue
        count = rows.n_zero_rows - sum(row in padding.get(one.name, ()) for row in rows.zero_rows)
        what, where = ("rows", rows.zero_rows) if count else ("columns", rows.zero_columns)
        count = count or rows.n_zero_columns
        if count and len(one.shape) == 2:
            yield Hit(
                one.name,
                f"{count:,} of its {rows.rows if what == 'rows' else rows.columns:,} {what} are all 0, the first is {where[0]}",
                "draw the whole tensor",
                one.source,
            )
