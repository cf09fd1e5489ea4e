"""Entry: what one tensor of a plan gets, where it comes from and what it overrode, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from ._programs import Program, is_random
from ._tuples import from_fields
from .initializers import Initializer

KINDS = ("drawn", "constant", "derived", "kept", "tied", "undefined")
OWN = "the constructor's own"  # the rule of what a constructor does by itself; the source says where


@dataclass(frozen=True)
class Decision:
    """What a tensor gets and why: shared by all tensors that look alike.

    Args:
        shape, dtype: of the whole tensor.
        kind: ``drawn``, ``constant``, ``derived``, ``kept``, ``tied`` or ``undefined``.
        initializer: what the rule says, expressions worked out; None where nothing is written.
        program: the same with every number worked out: what a backend runs.
        fan_in, fan_out: of one logical weight.
        role: of the tensor in its module.
        rule: the rule that won, in words.
        overridden: the rules it won over.
        source: ``file:line`` of the rule, or ``file:line function`` of the captured code.
        note: what else there is to know.
        on_meta: the model that was planned had no memory here.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    kind: str
    initializer: Initializer | None = None
    program: Program | None = None
    fan_in: int | None = None
    fan_out: int | None = None
    role: str = "parameter"
    rule: str = ""
    overridden: tuple[str, ...] = ()
    source: str = ""
    note: str = ""
    on_meta: bool = False

    @property
    def mean(self) -> float | None:
        return _real(self.program.mean) if self.program is not None else None

    @property
    def std(self) -> float | None:
        return _real(self.program.std) if self.program is not None else None


class Row(NamedTuple):
    """One tensor of a plan: what is its own, and what it shares."""

    name: str
    key: str
    decision: Decision
    related: str | None = None  # the name it is tied to or derived from
    is_buffer: bool = False
    persistent: bool = True  # a state_dict has it


as_row = from_fields(Row)


@dataclass(frozen=True)
class Entry:
    """One tensor of a plan, with every number worked out. The fields are those of ``Decision``, and the tensor's names.

    Args:
        name: canonical full name; the stream's and the patterns'.
        key: the model's own state_dict key.
        tied_to: the first name of the same tensor.
        derived_from: the logical weight this original belongs to.
    """

    name: str
    key: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    kind: str
    initializer: Initializer | None
    mean: float | None
    std: float | None
    fan_in: int | None
    fan_out: int | None
    role: str
    rule: str
    source: str
    tied_to: str | None
    derived_from: str | None
    overridden: tuple[str, ...]
    note: str
    is_buffer: bool
    program: Program | None

    @classmethod
    def of(cls, row: Row) -> Entry:
        d = row.decision
        return cls(
            name=row.name,
            key=row.key,
            shape=d.shape,
            dtype=d.dtype,
            kind=d.kind,
            initializer=d.initializer,
            mean=d.mean,
            std=d.std,
            fan_in=d.fan_in,
            fan_out=d.fan_out,
            role=d.role,
            rule=d.rule,
            source=d.source,
            tied_to=row.related if d.kind == "tied" else None,
            derived_from=row.related if d.kind == "derived" else None,
            overridden=d.overridden,
            note=d.note,
            is_buffer=row.is_buffer,
            program=d.program,
        )


def kind_of(program: Program) -> str:
    """``drawn`` or ``constant``."""
    return "drawn" if is_random(program) else "constant"


def redecided(row: Row, **changes: Any) -> Row:
    """The row with some fields of its decision changed."""
    return row._replace(decision=replace(row.decision, **changes))


def _real(value: float | complex | None) -> float | None:
    if isinstance(value, complex):
        return value.real if value.imag == 0 else None
    return value
