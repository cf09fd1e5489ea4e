"""Diff: are two of these the same, and where not? Plans, models, safetensors files and folders, in any mix.

Plans are compared entry by entry; values bit by bit; and a plan with values by drawing the plan again in the dtype that is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .._checkpoint.pieces import made_whole
from .._entry import Row
from .._errors import ArgumentError, ArgumentTypeError, counted
from .._plan import Plan
from .._table import columns, law_text, number, shape_text, terminal_width, wrapped
from .._tensors import why_not_drawable
from .._text.forms import dtype_name, number_form
from .._text.plans import stored_rows
from .bits import compared, drawn_part, runs
from .sources import Found, Tensors, tensors_of

Side = Plan | nn.Module | str | Path


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    Args:
        name: the tensor's name; "" where it is the plan as a whole.
        what: ``only in a``, ``only in b``, ``seed``, ``key``, ``shape``, ``dtype``, ``kind``, ``law`` or ``values``.
        a, b: what each side has, as text.
        index: the first element that differs, or None.
        max_abs: the largest absolute difference among the elements looked at, or None.
    """

    name: str
    what: str
    a: str = ""
    b: str = ""
    index: tuple[int, ...] | None = None
    max_abs: float | None = None


@dataclass(frozen=True)
class Diff:
    """What differs between two sides, a collection of ``Difference``: empty, and so false, where they are the same.

    Args:
        a, b: what was compared.
        entries: the differences, in the order of a.
        tensors, elements: how many were compared.
        unchecked: tensors that both have and whose values nobody can draw again (kept, derived); they are no differences.

    Example:
        >>> layer = torch.nn.Linear(3, 2)
        >>> found = diff(plan(layer, "he", seed=0), plan(layer, "he", seed=1))
        >>> found.same, [entry.what for entry in found]
        (False, ['seed'])
    """

    a: str
    b: str
    entries: tuple[Difference, ...]
    tensors: int
    elements: int
    unchecked: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.entries

    def __bool__(self) -> bool:
        """True where something differs: ``if initium.diff(a, b): …``, ``assert initium.diff(a, b).same``."""
        return bool(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Difference]:
        return iter(self.entries)

    def to_dict(self) -> dict[str, Any]:
        """``{"version": 1, "same": …, "entries": […], …}``, ready for JSON."""
        entries = []
        for one in self.entries:
            entries.append(
                {**asdict(one), "index": None if one.index is None else list(one.index), "max_abs": number_form(one.max_abs)}
            )
        counts = {"tensors": self.tensors, "elements": self.elements, "unchecked": list(self.unchecked)}
        return {"version": 1, "a": self.a, "b": self.b, "same": self.same, "entries": entries, **counts}

    def table(self, width: int | None = None) -> str:
        """The differences as a table, fitted to ``width`` columns (the terminal's unless said)."""
        width = width or terminal_width()
        lines = []
        if self.entries:
            rows = [(e.name or "(the plan)", e.what, e.a, e.b, _place(e)) for e in self.entries]
            head = ("tensor", "differs in", "a", "b", "first element, largest gap")
            kept = [i for i in range(5) if any(row[i] for row in rows)]
            lines = columns([tuple(row[i] for i in kept) for row in (head, *rows)], width)
        compared = counted(self.tensors, "tensor") + (", " + counted(self.elements, "element") if self.elements else "")
        foot = [f"{counted(len(self.entries), 'difference')} in {compared}" if self.entries else f"the same: {compared}"]
        if self.unchecked:
            those = self.unchecked[0] + (", …" if len(self.unchecked) > 1 else "")
            foot.append(
                f"{counted(len(self.unchecked), 'tensor is', 'tensors are')} kept or derived, which nobody can draw again: {those}"
            )
        return "\n".join([*lines, *wrapped(foot, width)])

    def __str__(self) -> str:
        return self.table()


def _place(one: Difference) -> str:
    if one.index is None:
        return ""
    return f"[{', '.join(map(str, one.index))}]  {number(one.max_abs)}"


def diff(a: Side, b: Side, sample: int | None = None) -> Diff:
    """What differs between two plans, models, plan files, safetensors files or folders.

    Two plans are the same where they draw the same bits for the same tensors; where their rules stand does not count. Values are the
    same where their bits are (a NaN equals itself, 0 and -0 differ). A plan and values are compared by drawing the plan in the dtype that is
    stored, so a bf16 file of a fp32 plan is the same; what went through LAPACK may differ by 1e-6 of the largest element, or a
    unit in the last place.

    Args:
        a, b: the two sides; a path that ends in .json is a plan.
        sample: compare about this many elements of each tensor, the first and last among them, instead of all.

    Raises:
        FileError: a file that cannot be read. ArgumentError: sample < 1.

    Example:
        >>> diff(torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)).same
        True
    """
    if sample is not None and (isinstance(sample, bool) or not isinstance(sample, int) or sample < 1):
        raise ArgumentError(f"sample is a whole number ≥ 1, not {sample!r}")
    left, right = _side(a), _side(b)
    if isinstance(left, Plan) and isinstance(right, Plan):
        return _plans(left, right, _label(a), _label(b))
    comparison = _Comparison(_label(a), _label(b), sample)
    if isinstance(left, Plan):
        assert isinstance(right, Tensors)
        comparison.plan_and_values(left, right, swap=True)
    elif isinstance(right, Plan):
        comparison.plan_and_values(right, left, swap=False)
    else:
        comparison.values(left, right)
    return comparison.result()


def _side(side: Side) -> Plan | Tensors:
    if isinstance(side, Plan):
        return side
    if isinstance(side, (str, Path)) and str(side).lower().endswith(".json"):
        return Plan.load(side)
    if not isinstance(side, (nn.Module, str, Path)):
        raise ArgumentTypeError(f"a plan, a model or a path is compared, not {type(side).__name__}")
    return tensors_of(side)


def _label(side: Side) -> str:
    return str(side) if isinstance(side, (str, Path)) else "plan" if isinstance(side, Plan) else type(side).__name__


def _plans(a: Plan, b: Plan, label_a: str, label_b: str) -> Diff:
    found = []
    if a.seed != b.seed:
        found.append(Difference("", "seed", str(a.seed), str(b.seed)))
    ours, theirs = {row.name: row for row in a.rows()}, {row.name: row for row in b.rows()}
    for name, row in ours.items():
        found += [Difference(name, "only in a", _essence(row))] if name not in theirs else list(_rows(row, theirs[name]))
    found += [Difference(name, "only in b", "", _essence(row)) for name, row in theirs.items() if name not in ours]
    return Diff(label_a, label_b, tuple(found), len(ours.keys() & theirs.keys()), 0)


_FIELDS: tuple[tuple[str, Callable[[Row], object], Callable[[Row], str]], ...] = (
    ("key", lambda row: row.key, lambda row: row.key),
    ("shape", lambda row: row.decision.shape, lambda row: shape_text(row.decision.shape)),
    ("dtype", lambda row: row.decision.dtype, lambda row: dtype_name(row.decision.dtype)),
    ("kind", lambda row: (row.decision.kind, row.related), lambda row: f"{row.decision.kind} {row.related or ''}".strip()),
    ("law", lambda row: row.decision.program, lambda row: _law(row)),
)


def _rows(a: Row, b: Row) -> Iterator[Difference]:
    for what, value, text in _FIELDS:
        if value(a) != value(b):
            yield Difference(a.name, what, text(a), text(b))


def _law(row: Row) -> str:
    program = row.decision.program
    return (law_text(program) or str(row.decision.initializer)) if program is not None else row.decision.kind


def _essence(row: Row) -> str:
    return f"{shape_text(row.decision.shape)} {_law(row)}"


class _Comparison:
    """Differences of values as they are found."""

    def __init__(self, a: str, b: str, sample: int | None) -> None:
        self.a, self.b, self.sample = a, b, sample
        self.entries: list[Difference] = []
        self.unchecked: list[str] = []
        self.tensors = self.elements = 0

    def result(self) -> Diff:
        return Diff(self.a, self.b, tuple(self.entries), self.tensors, self.elements, tuple(self.unchecked))

    def values(self, a: Tensors, b: Tensors) -> None:
        for one in a:
            other = b.get(one.key)
            if other is None:
                if one.stored or b.of_model:
                    self._add(one.key, "only in a", one.text)
            elif one.shape != other.shape:
                self._add(one.key, "shape", shape_text(one.shape), shape_text(other.shape))
            elif one.dtype != other.dtype:
                self._add(one.key, "dtype", dtype_name(one.dtype), dtype_name(other.dtype))
            elif one.on_meta or other.on_meta:
                self.unchecked.append(one.key)
            else:
                flat = b.read(other.key).reshape(-1)
                self._compare(one.key, a.read(one.key), _reader(flat), 0.0, swap=False)
        for other in b:
            if a.get(other.key) is None and (other.stored or a.of_model):
                self._add(other.key, "only in b", "", other.text)

    def plan_and_values(self, plan: Plan, found: Tensors, *, swap: bool) -> None:
        """``swap``: the plan is a, the values are b."""
        ours, theirs = ("only in a", "only in b") if swap else ("only in b", "only in a")
        stored = {row.name for row in stored_rows(plan)}
        met = set()
        for row in plan.rows():
            source = plan.row(row.related) if row.decision.kind == "tied" and row.related else row
            one = found.get(row.key) or found.named(row.name.removeprefix(plan.prefix))
            if one is not None:
                met.add(one.key)
                self._planned(plan, row, source, found, one, swap)
            elif row.name in stored:
                self._add(row.name, ours, _essence(source), swap=not swap)
        for one in found:
            if one.key not in met:
                self._add(one.key, theirs, one.text, swap=swap)

    def _planned(self, plan: Plan, row: Row, source: Row, found: Tensors, one: Found, swap: bool) -> None:
        d = source.decision
        program = d.program
        if one.shape != d.shape:
            self._add(row.name, "shape", shape_text(one.shape), shape_text(d.shape), swap=swap)
        elif program is None or one.on_meta:
            self.unchecked.append(row.name)
        elif _family(one.dtype) != _family(d.dtype) or (d.kind == "drawn" and why_not_drawable(one.dtype)):
            self._add(row.name, "dtype", dtype_name(one.dtype), dtype_name(d.dtype), swap=swap)
        else:
            key_of, tensor, tolerance = plan.key_of(source.name), found.read(one.key), 0.0
            whole = drawn_part(program, key_of, d.shape, one.dtype, 0, tensor.numel()) if made_whole(program) else None
            if (whole is not None or one.computed) and tensor.numel():
                least = 1e-5 if one.computed else 1e-6  # a parametrization computes the weight again, in its dtype
                tolerance = (
                    max(least, torch.finfo(one.dtype).eps) * float(tensor.abs().max()) if tensor.is_floating_point() else 0.0
                )

            def draw(start: int, stop: int) -> Tensor:
                if whole is not None:
                    return whole[start:stop]
                return drawn_part(program, key_of, d.shape, one.dtype, start, stop)

            self._compare(row.name, tensor, draw, tolerance, swap=swap)

    def _compare(self, name: str, tensor: Tensor, other: Callable[[int, int], Tensor], tolerance: float, *, swap: bool) -> None:
        self.tensors += 1
        flat = tensor.reshape(-1)
        stretches = runs(flat.numel(), self.sample, name)
        self.elements += sum(stop - start for start, stop in stretches)
        gap = compared(flat, other, stretches, tolerance)
        if gap is not None:
            index = (
                tuple(int(i) for i in torch.unravel_index(torch.tensor(gap.first, device="cpu"), tensor.shape))
                if tensor.dim()
                else ()
            )
            self._add(name, "values", f"{gap.ours:.9g}", f"{gap.theirs:.9g}", index, gap.largest, swap=swap)

    def _add(
        self,
        name: str,
        what: str,
        a: str = "",
        b: str = "",
        index: tuple[int, ...] | None = None,
        largest: float | None = None,
        *,
        swap: bool = False,
    ) -> None:
        self.entries.append(Difference(name, what, *((b, a) if swap else (a, b)), index, largest))


def _family(dtype: torch.dtype) -> object:
    """Dtypes that one plan can be stored in: all floating ones, or the very same."""
    return "floating" if dtype.is_floating_point else dtype


def _reader(flat: Tensor) -> Callable[[int, int], Tensor]:
    """Elements ``start … stop`` of a tensor that is there."""
    return lambda start, stop: flat[start:stop]
