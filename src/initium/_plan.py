"""Plan: what every tensor of a model gets, as frozen data (one tensor: ``_entry.py``). A plan knows no devices and touches no model by itself."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, ValuesView
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor, nn

from ._entry import KINDS, Entry, Row
from ._errors import PlanError, nearest
from ._stream import STREAM_VERSION, Keys, checked_seed

if TYPE_CHECKING:
    from ._measure.diff import Diff
    from ._measure.fingerprint import Fingerprint
    from ._missing import Loaded


class Plan(Mapping[str, Entry]):
    """A mapping from canonical full name to Entry, in the model's order, with one seed.

    Made by ``initium.plan`` or ``initium.capture``, or read by ``Plan.load``.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        seed: int,
        *,
        recipe: str = "",
        prefix: str = "",
        notes: Sequence[str] = (),
        seconds: float | None = None,
    ) -> None:
        self._rows = {row.name: row for row in rows}
        self._seed = checked_seed(seed)
        self._recipe, self._prefix, self._notes, self._seconds = recipe, prefix, tuple(notes), seconds

    @property
    def seed(self) -> int:
        """The seed, in [0, 2**64)."""
        return self._seed

    @property
    def recipe(self) -> str:
        """The name of the recipe it was made from, "" for a nameless one."""
        return self._recipe

    @property
    def prefix(self) -> str:
        """What stands before every name of the model it was made from."""
        return self._prefix

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to know about the whole plan."""
        return self._notes

    @property
    def seconds(self) -> float | None:
        """How long the constructor took to be captured; None where it was not, or the plan was loaded."""
        return self._seconds

    def __getitem__(self, name: str) -> Entry:
        return Entry.of(self.row(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __call__(self, module: nn.Module) -> None:
        raise PlanError("a plan is for a whole model: write plan.apply(model), not model.apply(plan)")

    def row(self, name: str) -> Row:
        """The row of a name, without building its Entry."""
        try:
            return self._rows[name]
        except KeyError:
            raise _Unknown(f"the plan has no tensor {name!r}.{nearest(name, self._rows)}") from None

    def rows(self) -> Iterable[Row]:
        """All rows, in the model's order."""
        return self._rows.values()

    def by_name(self) -> Mapping[str, Row]:
        """The rows under their names."""
        return self._rows

    def reseed(self, seed: int) -> Plan:
        """The same decisions with other numbers."""
        return Plan(
            self._rows.values(),
            seed,
            recipe=self._recipe,
            prefix=self._prefix,
            notes=self._notes,
            seconds=self._seconds,
        )

    def with_rows(self, rows: Iterable[Row], *, recipe: str | None = None, notes: Sequence[str] | None = None) -> Plan:
        """The same seed and prefix with other rows."""
        return Plan(
            rows,
            self._seed,
            recipe=self._recipe if recipe is None else recipe,
            prefix=self._prefix,
            notes=self._notes if notes is None else notes,
            seconds=self._seconds,
        )

    def key_of(self, name: str) -> Keys:
        """The keys of a tensor's streams, by tag."""
        return Keys(self._seed, name)

    @overload
    def values(self) -> ValuesView[Entry]: ...

    @overload
    def values(self, name: str, start: int = 0, stop: int | None = None) -> Tensor: ...

    def values(self, name: str | None = None, start: int = 0, stop: int | None = None) -> Tensor | ValuesView[Entry]:
        """Elements ``start … stop`` (flat indices in the whole tensor) as 1-D fp32; any place costs the same.

        Args:
            name: canonical full name; without one, the mapping's entries.
            start, stop: 0 ≤ start ≤ stop ≤ number of elements.

        Raises:
            PlanError: the plan does not hold the values (kept, undefined, derived), or the range is not in the tensor.
        """
        if name is None:
            return super().values()
        from ._execute import values

        row = self.row(name)
        if row.decision.kind == "tied":
            assert row.related is not None
            row = self.row(row.related)
        decision = row.decision
        if decision.program is None:
            raise PlanError(f"{name} is {decision.kind}: the plan does not hold its values")
        numel = math.prod(decision.shape)
        stop = numel if stop is None else stop
        if not 0 <= start <= stop <= numel:
            raise PlanError(f"{name} has {numel} elements: {start}:{stop} is not a range of them")
        return values(decision.program, self.key_of(row.name), decision.shape, start, stop)

    def apply(
        self,
        model: nn.Module,
        only: str | Iterable[str] | Loaded | None = None,
        prefix: str = "",
        rename: Mapping[str, str] | Callable[[str], str] | None = None,
        part: bool = False,
    ) -> Plan:
        """Write the plan's values into a model, real or sharded, and return the plan.

        Args:
            model: the model that the plan was made for, or one with the same names.
            only: names or globs, or what ``load_state_dict(strict=False)`` returned: the missing keys; nothing else is touched.
            prefix: what to put before every name of ``model`` (a part of the model that the plan is for).
            rename: from the model's names to the plan's, for stages that count from 0 again.
            part: the model holds some of the plan's tensors only, and that is meant.

        Raises:
            PlanError: model and plan do not fit. WriteError: a tensor cannot be written. The model is then left as it was.
        """
        from ._apply import apply

        return apply(self, model, only=only, prefix=prefix, rename=rename, part=part)

    def save(self, path: str | Path) -> None:
        """Write the plan as JSON text that reads well in a review."""
        from ._text.plans import save_plan

        save_plan(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan that ``save`` wrote."""
        from ._text.plans import load_plan

        return load_plan(Path(path))

    def diff(self, other: Plan | nn.Module | str | Path) -> Diff:
        """What differs between this plan and another plan, a model or a file."""
        from ._measure.diff import diff

        return diff(self, other)

    def write(self, path: str | Path, **options: Any) -> Path:
        """Draw the plan straight to safetensors or torch.distributed.checkpoint: see ``_checkpoint/write.py`` for the options."""
        from ._checkpoint.write import write_plan

        return write_plan(self, path, **options)

    def digest(self) -> str:
        """A hash of the plan itself: seed, stream version, names, shapes and laws; 32 hexadecimal digits."""
        from ._text.plans import encode_plan

        state = hashlib.blake2b(digest_size=16, person=b"initium/plan")
        state.update(encode_plan(self).encode())
        return state.hexdigest()

    def fingerprint(self, dtype: torch.dtype | None = None, only: str | Iterable[str] | None = None) -> Fingerprint:
        """The fingerprint that ``initium.fingerprint(model)`` gives after ``apply``; worked out in a few megabytes of memory.

        Args:
            dtype: what the model's floating tensors are stored in; None for what each entry says.
            only: names or globs; nothing else is counted.

        Raises:
            PlanError: the plan does not hold the values of a tensor (kept, derived).
        """
        from ._measure.fingerprint import plan_fingerprint

        return plan_fingerprint(self, dtype, only)

    def table(self, width: int | None = None) -> str:
        """The plan as a text table, equal layers grouped, fitted to ``width`` columns (the terminal's unless said)."""
        from ._table import plan_table

        return plan_table(self, width)

    def blame(self, pattern: str = "**") -> str:
        """For the tensors that a pattern matches: the line of code or the rule that had the last word, and those that it overrode.

        Args:
            pattern: a name or a glob over full names.

        Raises:
            ArgumentError: no tensor matches.
        """
        from ._blame import blame

        return blame(self, pattern)

    def _repr_html_(self) -> str:
        from ._table import plan_html

        return plan_html(self)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {kind}" for kind in KINDS if (n := sum(r.decision.kind == kind for r in self.rows())))
        return f"<Plan seed={self._seed} stream={STREAM_VERSION}: {counts or 'no tensors'}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Plan):
            return NotImplemented
        return self._seed == other._seed and [_essence(r) for r in self.rows()] == [_essence(r) for r in other.rows()]

    def __hash__(self) -> int:
        return hash((self._seed, tuple(self._rows)))


class _Unknown(PlanError, KeyError):
    """No such name: a KeyError too, so that ``Mapping.get`` and ``in`` work."""

    def __str__(self) -> str:
        return str(self.args[0])


def _essence(row: Row) -> tuple[object, ...]:
    """What makes two rows the same tensor with the same values; where the rule stood is not part of it."""
    d = row.decision
    return row.name, row.key, d.shape, d.dtype, d.kind, d.program, row.related
