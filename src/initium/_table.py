"""The plan as people read it: a text table with equal layers grouped, and the same in HTML. Formatting only."""

from __future__ import annotations

import html
import math
import shutil
from collections.abc import Sequence

from . import _laws as laws
from ._grouping import grouped
from ._plan import KINDS, Plan, Row
from ._programs import Blocks, Program
from ._stream import STREAM_VERSION


def plan_table(plan: Plan, width: int | None = None) -> str:
    """Header, a line for each group of equal tensors, and what there is to know at the foot."""
    width = width or max(60, shutil.get_terminal_size((120, 24)).columns)
    lines = [_heading(plan)]
    rows = _rows(plan)
    if rows:
        lines += columns([("tensor", "shape", "gets", "fan in → out", "std", "rule"), *rows], width)
    return "\n".join([*lines, *_foot(plan)])


def _heading(plan: Plan) -> str:
    what = f"recipe {plan.recipe}" if plan.recipe else "plan"
    total = sum(math.prod(row.decision.shape) for row in plan.rows() if row.decision.kind not in ("tied", "derived"))
    return f"{what} · seed {plan.seed} · stream {STREAM_VERSION} · {len(plan)} tensors · {count(total)} elements"


def _rows(plan: Plan) -> list[tuple[str, ...]]:
    by_name = {row.name: row for row in plan.rows()}
    shown = []
    for group in grouped((row.name, _sameness(row)) for row in plan.rows()):
        row = by_name[group.names[0]]
        d = row.decision
        times = f" ×{len(group.names)}" if len(group.names) > 1 else ""
        fans = f"{d.fan_in} → {d.fan_out}" if d.fan_in is not None else ""
        std = number(d.std) if d.std is not None and d.kind == "drawn" else ""
        shown.append((group.title + times, shape_text(d.shape), _gets(row), fans, std, _rule(row)))
    return shown


def _sameness(row: Row) -> tuple[object, ...]:
    d = row.decision
    return d.shape, d.dtype, d.kind, str(d.initializer), d.std, d.rule, d.note, row.is_buffer, d.fan_in, d.source


def _gets(row: Row) -> str:
    d = row.decision
    if d.kind == "tied":
        return f"tied to {row.related}"
    if d.kind == "derived":
        return f"derived from {row.related}"
    if d.kind in ("kept", "undefined") or d.program is None:
        return d.kind
    said, law = str(d.initializer), law_text(d.program)
    return law if said == law else f"{said}: {law}" if law else said


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
    text = "buffer: " + d.rule if row.is_buffer and d.kind not in ("tied", "derived") else d.rule
    if d.kind in ("tied", "derived"):
        text = ""
    if d.overridden:
        text += f" (over {len(d.overridden)})"
    if d.note:
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
        lines.append(f"{counts['kept'][0]} tensors are kept as constructed: the seed does not fix those (initium.build does)")
    inexact = sum(1 for row in plan.rows() if _inexact(row.decision.program))
    if inexact:
        lines.append(f"{inexact} tensors go through LAPACK or a reduction: equal to 1e-6 on every machine, nearly always to the bit")
    return [*lines, *plan.notes]


def _inexact(program: Program | None) -> bool:
    if isinstance(program, Blocks):
        return any(_inexact(part) for _, part in program.parts)
    return getattr(program, "exact", True) is False


def columns(table: Sequence[Sequence[str]], width: int) -> list[str]:
    """The table's lines, columns aligned; the last column, then the first, give way where the width is too small."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    gaps = 2 * (len(widths) - 1)
    for index, least in ((len(widths) - 1, 6), (0, 24), (2, 16)):
        over = sum(widths) + gaps - width
        if over > 0 and index < len(widths):
            widths[index] = max(min(widths[index], least), widths[index] - over)
    lines = ["  ".join(clipped(cell, w).ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]
    return [lines[0], "─" * min(width, sum(widths) + gaps), *lines[1:]]


def clipped(text: str, width: int) -> str:
    """At most ``width`` characters, the middle left out."""
    if len(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    head = (width - 1 + 1) // 2
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
    head = "".join(f"<th>{title}</th>" for title in ("tensor", "shape", "gets", "fan in → out", "std", "rule"))
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in _rows(plan))
    foot = "".join(f"<p>{html.escape(line)}</p>" for line in _foot(plan))
    return f"<p>{html.escape(_heading(plan))}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"
