"""A matrix of less than full rank.

What it does:
    Counts the singular values of random weights that are 0 next to the largest; two or more are reported.

Why it is bad:
    Directions of the input, or of the output, that the layer does not have: a product of small factors, rows that repeat up to a factor.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
            with torch.no_grad():
                self.first.weight.copy_(torch.randn(64, 16) @ torch.randn(16, 64) / 32)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
            nn.init.kaiming_normal_(self.first.weight)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

Fix safety:
    unsafe: a start of small rank may be meant.

References:
    products of factors, masks, tiled rows
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.law import PATTERNED
from ..measure.seen import Seen, TensorSeen
from ..registry import Hit, check


def _masked(one: TensorSeen) -> bool:
    """Rows or columns of zeros, which D001 says, repeated rows, which Y002 says, or a sparse draw."""
    rows, call = one.rows, one.call
    found = rows is not None and (rows.n_zero_rows or rows.n_zero_columns or rows.n_duplicates)
    return bool(found) or (call is not None and call.name in PATTERNED)


@check(
    "S025",
    "rank deficient",
    "warning",
    level="weights",
    preview=True,
    needs=("model", "spectra"),
    fix="unsafe",
    explains=("S023",),
)
def find(seen: Seen) -> Iterator[Hit]:
    for name, parts in seen.spectra.items():
        one = seen.tensors[name]
        worst = max(parts, key=lambda part: part.gone)
        if one.layout.role == "weight" and one.random and worst.gone >= 2 and not _masked(one):
            rank = f"{worst.short - worst.gone} of {worst.short}"
            yield Hit(
                name,
                f"its rank is {rank}" + ("" if worst.whole else " rows that were looked at"),
                "draw the whole matrix",
                one.source,
            )
