"""Blame: for each tensor of a plan, who had the last word, and whose words were lost. Formatting only."""

from __future__ import annotations

from ._entry import Row
from ._errors import ArgumentError, nearest
from ._patterns import is_literal, matches
from ._plan import Plan
from ._table import _gets, _lines, _shapes, terminal_width, wrapped


def blame(plan: Plan, pattern: str = "**", width: int | None = None) -> str:
    """A paragraph for each group of equal tensors that the pattern matches: what it gets, who says so, and what that overrode."""
    rows = [row for row in plan.rows() if matches(pattern, row.name)]
    if not rows:
        close = nearest(pattern, list(plan)) if is_literal(pattern) else ""
        raise ArgumentError(f"{pattern!r} matches no tensor of the plan.{close}")
    width = width or terminal_width()
    found: list[str] = []
    for line in _lines(plan.with_rows(rows)):
        times = f" ×{len(line.rows)}" if len(line.rows) > 1 else ""
        first = line.rows[0]
        shapes = _shapes([row.decision.shape for row in line.rows])
        found += wrapped([f"{line.title}{times}  {shapes}  {_gets(first)}"], width)
        found += [f"    {part}" for part in wrapped(_words(first), width - 4)]
    return "\n".join(found)


def _words(row: Row) -> list[str]:
    d = row.decision
    if d.kind == "tied":
        return [f"the same tensor as {row.related}"]
    said = [d.source or d.rule or "nobody", *(f"over {lost}" for lost in reversed(d.overridden))]
    return [*said, d.note] if d.note else said
