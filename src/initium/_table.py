"""The plan as people read it: a text table with equal layers grouped, and the same in HTML. Formatting only."""

from __future__ import annotations

import html
import math
import re
import shutil
import textwrap
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from . import _laws as laws
from ._entry import KINDS, OWN, Row
from ._errors import counted
from ._grouping import _range as index_range
from ._grouping import grouped
from ._plan import Plan
from ._programs import Blocks, Program
from ._stream import STREAM_VERSION

_TITLES = ("tensor", "shape", "gets", "fan in → out", "std", "rule")
_BY_CLASS = "as its class sets it"  # what the planner says of buffers that no rule reaches
_PLAIN = ("normal(", "uniform(", "trunc_normal(mean=")  # their laws say as much
_MOST_NOTES = 6
_LAST = 99
# (column, the width it may be cut to), in this order, where a table is too wide
_NARROWER = ((_LAST, 40), (2, 28), (_LAST, 25), (0, 32), (2, 16), (_LAST, 16), (0, 24), (_LAST, 6), (0, 12))
_DIGITS = re.compile(r"\d+")


class Line(NamedTuple):
    """Tensors that share a line: what they are called together, and their rows."""

    title: str
    rows: list[Row]


def plan_table(plan: Plan, width: int | None = None) -> str:
    """Header, a line for each group of equal tensors, and what there is to know at the foot; no line is wider than ``width``."""
    width = width or terminal_width()
    lines = wrapped([_heading(plan)], width)
    cells = _cells(plan)
    if cells:
        lines += columns([_TITLES, *cells], width, spare=_TITLES.index("fan in → out"))
    return "\n".join([*lines, *wrapped(_foot(plan), width)])


def _heading(plan: Plan) -> str:
    what = f"recipe {plan.recipe}" if plan.recipe else "plan"
    total = sum(math.prod(row.decision.shape) for row in plan.rows() if row.decision.kind not in ("tied", "derived"))
    return f"{what} · seed {plan.seed} · stream {STREAM_VERSION} · {counted(len(plan), 'tensor')} · {count(total)} elements"


def _cells(plan: Plan) -> list[tuple[str, ...]]:
    shown: list[tuple[str, ...]] = []
    for line in _lines(plan):
        row, rows = line.rows[0], line.rows
        d = row.decision
        times = f" ×{len(rows)}" if len(rows) > 1 else ""
        fans = f"{d.fan_in} → {d.fan_out}" if d.fan_in is not None and d.kind == "drawn" else ""
        std = number(d.std) if d.std is not None and d.kind == "drawn" else ""
        shown.append((line.title + times, _shapes([r.decision.shape for r in rows]), _gets(row), fans, std, _rule(row)))
    return shown


def _lines(plan: Plan) -> list[Line]:
    """Equal tensors share a line: by their names' indices where the title then says no more than there is; constants of any shape.

    Buffers that stay as their classes set them share one by local name alone.
    """
    found: dict[Hashable, list[Row]] = {}
    for row in plan.rows():
        own = row.is_buffer and row.decision.rule == _BY_CLASS
        pattern = row.name.rsplit(".", 1)[-1] if own else _DIGITS.sub("#", row.name)
        found.setdefault((own, pattern, *_sameness(row)), []).append(row)
    lines = []
    for (own, *_), rows in found.items():  # type: ignore[misc]
        if own and len(rows) > 1:
            lines.append(Line(f"**.{rows[0].name.rsplit('.', 1)[-1]}", rows))
        else:
            lines += _titled(rows)
    return lines


def _titled(rows: list[Row]) -> list[Line]:
    indices = [_DIGITS.findall(row.name) for row in rows]
    sets = [sorted({int(index) for index in column}) for column in zip(*indices, strict=True)]
    if math.prod(map(len, sets)) == len(rows):
        ranges = iter([index_range(values) for values in sets])
        return [Line(_DIGITS.sub(lambda _: next(ranges), rows[0].name), rows)]
    by_name = {row.name: row for row in rows}
    return [Line(group.title, [by_name[name] for name in group.names]) for group in grouped((row.name, None) for row in rows)]


def _sameness(row: Row) -> tuple[Hashable, ...]:
    d = row.decision
    sizes = () if isinstance(d.program, laws.Constant) else (d.shape, d.fan_in, d.fan_out)
    return sizes, d.dtype, d.kind, row.related, str(d.initializer), d.std, d.rule, d.note, d.overridden, row.is_buffer, d.source


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    """One shape, or its sizes' ranges: ``64…512``."""
    if len({len(shape) for shape in shapes}) > 1:
        return "various"
    sizes = [sorted(set(sizes)) for sizes in zip(*shapes, strict=True)]
    return "×".join(str(s[0]) if len(s) == 1 else f"{s[0]}…{s[-1]}" for s in sizes) if sizes else "()"


def _gets(row: Row) -> str:
    d = row.decision
    if d.kind == "tied":
        return f"tied to {row.related}"
    if d.kind == "derived":
        return f"derived from {row.related}"
    if d.kind in ("kept", "undefined") or d.program is None:
        return d.kind
    said, law = str(d.initializer), law_text(d.program)
    return law if law and said.startswith(_PLAIN) else f"{said}: {law}" if law and said != law else said


def law_text(program: Program) -> str:
    """The worked-out law, short: ``N(0, 0.02²)``."""
    if isinstance(program, laws.Constant):
        return f"{program.value:g}" if isinstance(program.value, (int, float)) else str(program.value)
    if isinstance(program, laws.Normal):
        return f"N({number(program.mean)}, {number(program.std)}²)"
    if isinstance(program, laws.Uniform):
        symmetric = program.low == -program.high
        return f"U(±{number(program.high)})" if symmetric else f"U({number(program.low)}, {number(program.high)})"
    if isinstance(program, laws.TruncNormal):
        return f"N({number(program.loc)}, {number(program.sigma)}²) in [{number(program.low)}, {number(program.high)}]"
    if isinstance(program, Blocks):
        seen = list(dict.fromkeys(law_text(part) for _, part in program.parts))
        return " | ".join(text for text in seen if text)
    return ""


def _rule(row: Row) -> str:
    d = row.decision
    text = d.source.rpartition("/")[2].partition(" ")[0] if d.rule == OWN and d.source else d.rule
    if row.is_buffer:
        text = "buffer: its class's own" if d.rule == _BY_CLASS else f"buffer: {text}"
    if d.kind in ("tied", "derived"):
        text = ""
    if d.overridden:
        text += f" (over {len(d.overridden)})"
    if d.note and ": " not in d.note:
        text = f"{text} [{d.note}]" if text else f"[{d.note}]"
    return text.strip()


def _foot(plan: Plan) -> list[str]:
    counts: dict[str, list[int]] = {kind: [0, 0] for kind in KINDS}
    for row in plan.rows():
        counts[row.decision.kind][0] += 1
        counts[row.decision.kind][1] += math.prod(row.decision.shape)
    parts = [f"{n} {kind} ({count(elements)})" for kind, (n, elements) in counts.items() if n]
    lines = [" · ".join(parts)] if parts else []
    if counts["kept"][0]:
        lines.append(
            f"{counted(counts['kept'][0], 'tensor is', 'tensors are')} kept as constructed: the seed does not fix that (initium.build does)"
        )
    inexact = sum(1 for row in plan.rows() if _inexact(row.decision.program))
    if inexact:
        lines.append(
            f"{counted(inexact, 'tensor goes', 'tensors go')} through LAPACK or a reduction: equal to 1e-6 on every machine, nearly always to the bit"
        )
    said = dict.fromkeys(
        (row.decision.note, row.name) for row in plan.rows() if ": " in row.decision.note
    )  # sentences, no block names
    lines += [f"{name}: {note}" for note, name in list(said)[:_MOST_NOTES]]
    if len(said) > _MOST_NOTES:
        lines.append(f"… and {len(said) - _MOST_NOTES} notes like these: plan[name].note")
    if plan.seconds is not None:
        lines.append(f"captured in {plan.seconds:.2f} s")
    return [*lines, *plan.notes]


def _inexact(program: Program | None) -> bool:
    if isinstance(program, Blocks):
        return any(_inexact(part) for _, part in program.parts)
    return getattr(program, "exact", True) is False


def terminal_width() -> int:
    """The terminal's columns, at least 60; 120 where there is no terminal."""
    return max(60, shutil.get_terminal_size((120, 24)).columns)


def columns(table: Sequence[Sequence[str]], width: int, spare: int | None = None) -> list[str]:
    """The table's lines, columns aligned, none wider than ``width``: the last gives way first, then the third, then the first, which has the names.

    ``spare`` is a column to leave out before the names are cut. Where not even that is enough the last columns are left out.
    """
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    last, gaps = len(widths) - 1, 2 * (len(widths) - 1)
    wide = sorted(range(last + 1), key=lambda i: -widths[i])
    for index, least in (*_NARROWER, *((i, 6) for i in wide)):
        index = min(index, last)
        over = sum(widths) + gaps - width
        if over > 0 and index == 0 and spare is not None:
            return columns([[*row[:spare], *row[spare + 1 :]] for row in table], width)
        if over > 0:
            widths[index] = max(min(widths[index], least), widths[index] - over)
    if sum(widths) + gaps > width:
        return columns([row[:-1] for row in table], width) if last else [clipped(row[0], width) for row in table]
    lines = ["  ".join(clipped(cell, w).ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]
    return [lines[0], "─" * (sum(widths) + gaps), *lines[1:]]


def wrapped(lines: Sequence[str], width: int) -> list[str]:
    """The lines, long ones broken at words."""
    return [part for line in lines for part in textwrap.wrap(line, width, subsequent_indent="  " if width > 20 else "")]


def clipped(text: str, width: int) -> str:
    """At most ``width`` characters, the middle left out."""
    if len(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    head = width // 2
    return text[:head] + "…" + text[len(text) - (width - 1 - head) :]


def number(x: float | None) -> str:
    """Five significant digits."""
    return "" if x is None else f"{x:.5g}"


def count(n: int) -> str:
    """``25.6 M``."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= size:
            return f"{n / size:.4g} {unit}"
    return str(n)


def shape_text(shape: tuple[int, ...]) -> str:
    """``64×3×7×7``; a scalar is ``()``."""
    return "×".join(map(str, shape)) if shape else "()"


def plan_html(plan: Plan) -> str:
    """The table for a notebook; everything escaped."""
    head = "".join(f"<th>{title}</th>" for title in _TITLES)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in _cells(plan))
    foot = "".join(f"<p>{html.escape(line)}</p>" for line in _foot(plan))
    return f"<p>{html.escape(_heading(plan))}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"
