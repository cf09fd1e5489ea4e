"""Stats: what is in a model or a file, tensor by tensor, beside what a plan says should be. One fp64 pass, piece by piece."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .._entry import Entry
from .._errors import counted
from .._plan import Plan
from .._table import columns, number, shape_text, terminal_width, wrapped
from .._text.forms import dtype_name, number_form
from .sources import Found, chunks, tensors_of


@dataclass(frozen=True)
class TensorStats:
    """What one tensor holds. Moments and extremes are of its finite elements; None where there are none.

    Args:
        name: canonical full name; of a file the key.
        shape, dtype: of the tensor.
        mean, std: of the elements; std is the population's (÷ n). Of a complex tensor the mean of
            its real and imaginary parts, and √(Var re + Var im).
        min, max: the extremes; of a complex tensor those of its real and imaginary parts.
        fan_in: of one logical weight, where a model or a plan says it.
        std_sqrt_fan_in: std · √fan_in, which is the gain of the layer: 1.41 for He, 1 for LeCun.
        planned_std: what the plan says, or None.
        nan, inf: how many elements are not finite.
        tied_to: another name of the same tensor, which has the numbers.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    fan_in: int | None
    std_sqrt_fan_in: float | None
    planned_std: float | None
    nan: int
    inf: int
    tied_to: str | None = None


class Stats(Mapping[str, TensorStats]):
    """A mapping from name to ``TensorStats``; printed, it is a table.

    Made by ``initium.stats``.

    Example:
        >>> found = stats(torch.nn.BatchNorm1d(3))
        >>> found["running_var"].max, found.non_finite
        (1.0, 0)
    """

    def __init__(self, label: str, tensors: list[TensorStats]) -> None:
        self.label, self._tensors = label, {one.name: one for one in tensors}

    def __getitem__(self, name: str) -> TensorStats:
        return self._tensors[name]

    def __iter__(self) -> Any:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def non_finite(self) -> int:
        """How many elements are NaN or infinite."""
        return sum(one.nan + one.inf for one in self._tensors.values())

    def to_dict(self) -> dict[str, Any]:
        """``{"version": 1, "tensors": [{…the fields of TensorStats…}]}``, ready for JSON: infinities and NaN are text."""
        tensors = []
        for one in self._tensors.values():
            fields = asdict(one)
            tensors.append(
                {
                    k: number_form(v) if isinstance(v, float) else list(v) if isinstance(v, tuple) else v
                    for k, v in fields.items()
                }
            )
        return {"version": 1, "tensors": tensors}

    def table(self, width: int | None = None) -> str:
        """The table, fitted to ``width`` columns (the terminal's unless said); columns that say nothing are left out."""
        shown = [
            (
                one.name,
                shape_text(one.shape),
                one.dtype,
                *([f"tied to {one.tied_to}", ""] if one.tied_to else [number(one.mean), number(one.std)]),
                number(one.std_sqrt_fan_in),
                number(one.planned_std),
                number(one.min),
                number(one.max),
                " ".join(f"{n} {word}" for n, word in ((one.nan, "NaN"), (one.inf, "inf")) if n),
            )
            for one in self._tensors.values()
        ]
        head = ("tensor", "shape", "dtype", "mean", "std", "std·√fan_in", "planned std", "min", "max", "not finite")
        kept = [i for i in range(len(head)) if i < 5 or any(row[i] for row in shown)]
        width = width or terminal_width()
        lines = columns([tuple(row[i] for i in kept) for row in (head, *shown)], width)
        bad = [one.name for one in self._tensors.values() if one.nan or one.inf]
        foot = (
            [f"{counted(self.non_finite, 'element')} of {counted(len(bad), 'tensor')} not finite, the first in {bad[0]}"]
            if bad
            else []
        )
        return "\n".join([*lines, *wrapped(foot, width)])

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<Stats of {self.label}: {counted(len(self), 'tensor')}, {counted(self.non_finite, 'element')} not finite>"


def stats(source: nn.Module | str | Path, plan: Plan | str | Path | None = None) -> Stats:
    """Mean, std, min, max and std·√fan_in of every tensor of a model, a safetensors file or a folder of them.

    Args:
        source: a model, or a path. Files are mapped: one of any size needs little memory.
        plan: a plan or a plan's file: its std stands beside the measured one, and its fans serve a file, which has none.

    Returns:
        A mapping from name to numbers that prints as a table.

    Raises:
        FileError: no such file, or one that is not safetensors.

    Example:
        >>> import torch
        >>> stats(torch.nn.BatchNorm1d(3))["weight"].mean
        1.0
    """
    tensors = tensors_of(source)
    planned = _entries(plan)
    found = []
    for one in tensors:
        if one.slot is not None and one.slot.derived_from is not None:
            continue
        entry = planned.get(one.key) or (planned.get(one.slot.name) if one.slot is not None else None)
        found.append(_of(one, None if one.slot is not None and one.slot.tensor.is_meta else tensors.read(one.key), entry))
    return Stats(tensors.label, found)


def _entries(plan: Plan | str | Path | None) -> dict[str, Entry]:
    if plan is None:
        return {}
    plan = plan if isinstance(plan, Plan) else Plan.load(plan)
    entries = [plan[name] for name in plan]
    return {**{entry.key: entry for entry in entries}, **{entry.name: entry for entry in entries}}


def _of(found: Found, tensor: Tensor | None, entry: Entry | None) -> TensorStats:
    slot = found.slot
    tied_to = slot.tied_to if slot is not None else None
    numbers = _measured(tensor) if tensor is not None and tied_to is None else _Numbers()
    fan_in = _fan_in(found) if entry is None or entry.fan_in is None else entry.fan_in
    std = numbers.std
    return TensorStats(
        name=found.key if slot is None else slot.name,
        shape=found.shape,
        dtype=dtype_name(found.dtype),
        mean=numbers.mean if numbers.count else None,
        std=std,
        min=numbers.low if numbers.count else None,
        max=numbers.high if numbers.count else None,
        fan_in=fan_in,
        std_sqrt_fan_in=std * math.sqrt(fan_in) if std is not None and fan_in is not None else None,
        planned_std=entry.std if entry is not None and entry.kind == "drawn" else None,
        nan=numbers.nan,
        inf=numbers.inf,
        tied_to=tied_to,
    )


def _measured(tensor: Tensor) -> _Numbers:
    if tensor.is_complex():
        return _complex_numbers(tensor)
    numbers = _Numbers()
    for _, piece in chunks(tensor):
        numbers.add(piece)
    return numbers


def _fan_in(found: Found) -> int | None:
    slot = found.slot
    if slot is None or slot.ndim < 2 or slot.layout.role not in ("weight", "embedding"):
        return None
    return slot.layout.fans(slot.layout.block_shapes(slot.shape)[0])[0]


class _Numbers:
    """Running moments by Chan's update, so that pieces of any size give one answer to fp64."""

    def __init__(self) -> None:
        self.count, self.mean, self._square = 0, 0.0, 0.0
        self.low, self.high = math.inf, -math.inf
        self.nan = self.inf = 0
        self.total_std: float | None = None

    @property
    def std(self) -> float | None:
        if self.total_std is not None:
            return self.total_std
        return math.sqrt(self._square / self.count) if self.count else None

    def add(self, piece: Tensor) -> None:
        values = piece.double()
        finite = values.isfinite()
        if not bool(finite.all()):
            self.nan += int(values.isnan().sum())
            self.inf += int(values.isinf().sum())
            values = values[finite]
        n = values.numel()
        if not n:
            return
        low, high = torch.aminmax(values)
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
        mean = float(values.mean())
        square = float((values - mean).square_().sum())
        gap, total = mean - self.mean, self.count + n
        self._square += square + gap * gap * (self.count * n / total)
        self.mean += gap * (n / total)
        self.count = total


def _complex_numbers(tensor: Tensor) -> _Numbers:
    """Both parts counted together; the std is that of a complex number, √(Var re + Var im)."""
    both = _Numbers()
    halves = []
    for part in torch.view_as_real(tensor).unbind(-1):
        half = _Numbers()
        for _, piece in chunks(part):
            half.add(piece)
            both.add(piece)
        halves.append(half)
    both.total_std = math.hypot(*(half.std or 0.0 for half in halves)) if both.count else None
    return both
