"""Rule: which tensors, and what they get. Matching reads slots; it decides nothing else."""

from __future__ import annotations

import fnmatch
import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from ._errors import ArgumentError, ArgumentTypeError, RuleError, nearest
from ._inventory import Slot
from ._patterns import compiled
from ._structure.structure import KNOWN_ROLES, LAYOUT_ROLES, NAMES
from .initializers import Initializer, as_initializer

Where = str | type | None
Kind = type | str | None
_PACKAGE = str(Path(__file__).parent)


@dataclass(frozen=True, init=False)
class Rule:
    """A condition on tensors and what they get; all conditions must hold, and the last rule of a recipe that matches wins.

    Args:
        where: a string is a glob over full names (``*`` one level, ``**`` any number; ``re:`` before a regular expression); a class is a
            module type, subclasses included.
        initializer: what the tensors get: an Initializer, a number (its Constant), or a name such as ``"xavier_normal"``.
        type: a module class, or a glob over the class names in the owner's MRO: ``"*Conv2d*"``.
        role: of the layout (``weight``, ``bias``, ``norm``, ``embedding``, ``parameter``), of the structure (``residual_out``, ``head``,
            ``router``, ``query``, ``key``, ``value``, ``output``, ``gate``, ``up``, ``down``, …: see ``_structure/structure.py``), or several.
        ndim: number of dimensions, or several.
        shape: the exact shape; None in it stands for any size.
        dtype: a torch dtype or its name.
        test: a function of the slot (``name, module, local, tensor, shape, dtype, ndim, role``) that says whether it holds.
        optional: matching nothing is no error.
        buffers: reach buffers instead of parameters.
        rows: a part of the tensor, along axis 0: a slice, (start, stop) or ``"0:64"``; the rest keeps what earlier rules said.
        gates: a part of the tensor, by the names of what is packed in it: ``"ifo"`` of an LSTM, ``("gate", "up")``, ``"v"``; tensors
            that do not have all of these are not matched.
        tensors: for a module's own tensors by their local names, ``weight=XavierNormal(), bias=0``; with a glob, ``where`` then names
            modules. A tensor that the module lacks is no error.

    Example:
        >>> Rule("head.*", Normal(std=0.01)).where
        'head.*'
        >>> Rule(nn.Conv2d, weight="xavier_normal", bias=0).tensors
        (('weight', XavierNormal(...)), ('bias', Constant(value=0)))
    """

    where: Where
    initializer: Initializer | None
    type: Kind
    role: tuple[str, ...]
    ndim: tuple[int, ...]
    shape: tuple[int | None, ...] | None
    dtype: torch.dtype | None
    test: Callable[[Slot], bool] | None
    optional: bool
    buffers: bool
    rows: str
    gates: tuple[str, ...]
    tensors: tuple[tuple[str, Initializer], ...]
    structure: frozenset[str]  # what it asks of the model's structure: roles, and names in expressions
    source: str = field(compare=False)

    def __init__(
        self,
        /,
        where: Where = None,
        initializer: object = None,
        *,
        type: Kind = None,
        role: str | tuple[str, ...] | None = None,
        ndim: int | tuple[int, ...] | None = None,
        shape: tuple[int | None, ...] | None = None,
        dtype: torch.dtype | str | None = None,
        test: Callable[[Slot], bool] | None = None,
        optional: bool = False,
        buffers: bool = False,
        rows: slice | tuple[int | None, int | None] | str | None = None,
        gates: str | tuple[str, ...] = (),
        **tensors: object,
    ) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        source = _caller()
        put("source", source)
        if isinstance(where, str):
            compiled(where)
        elif where is not None and not (isinstance(where, _TYPE) and issubclass(where, nn.Module)):
            raise ArgumentTypeError(f"a rule's where is a glob or a module class, not {where!r} ({source})")
        if type is not None and not isinstance(type, str) and not (isinstance(type, _TYPE) and issubclass(type, nn.Module)):
            raise ArgumentTypeError(f"a rule's type is a module class or a glob over class names, not {type!r} ({source})")
        if isinstance(type, str) and "." in type:
            raise ArgumentError(
                f"a rule's type is a glob over class names, which have no dots: write {type.rpartition('.')[2]!r}, not {type!r} ({source})"
            )
        if (initializer is None) == (not tensors):
            raise ArgumentError(
                f"a rule says either one initializer, Rule('head.*', Normal(std=0.01)), or tensors by their local names, "
                f"Rule(nn.Conv2d, weight=XavierNormal(), bias=0) ({source})"
            )
        put("where", where)
        put("initializer", None if initializer is None else as_initializer(initializer))
        put("type", type)
        put("role", _several(role))
        for word in self.role:
            if word not in KNOWN_ROLES:
                raise ArgumentError(
                    f"no role is called {word!r}.{nearest(str(word), KNOWN_ROLES)} Known: {', '.join(KNOWN_ROLES)} ({source})"
                )
        put("ndim", _several(ndim))
        put("shape", None if shape is None else tuple(shape))
        if any(size is not None and not (isinstance(size, int) and size >= 0) for size in self.shape or ()):
            raise ArgumentError(f"a rule's shape has sizes ≥ 0, and None for any, not {self.shape} ({source})")
        put("dtype", _dtype(dtype, source))
        put("test", test)
        put("optional", bool(optional))
        put("buffers", bool(buffers))
        put("rows", _range(rows, source))
        put("gates", tuple(gate.strip() for gate in gates.split(",") if gate) if isinstance(gates, str) else tuple(gates))
        if rows is not None and gates:
            raise ArgumentError(f"a rule speaks of rows or of gates, not of both ({source})")
        put("tensors", tuple((name, as_initializer(value)) for name, value in tensors.items()))
        used = frozenset(name for found in self.given for name in found.names())
        put("structure", (frozenset(self.role) - LAYOUT_ROLES) | (NAMES & used))

    @property
    def given(self) -> list[Initializer]:
        """Every initializer that it gives."""
        return [found for _, found in self.tensors] if self.initializer is None else [self.initializer]

    @property
    def needs_names(self) -> bool:
        """Whether it looks at full names, which a lone module does not have."""
        return isinstance(self.where, str) and self.where != "**"

    def claims_module(self, name: str, module: nn.Module) -> bool:
        """Whether its module conditions hold: type, class, and for local tensors the module's name."""
        if isinstance(self.where, str) and self.tensors and not compiled(self.where).fullmatch(name):
            return False
        return self.claims_type(module)

    def claims_type(self, module: nn.Module) -> bool:
        """Whether the module is of the class that ``where`` and ``type`` ask for."""
        if isinstance(self.where, _TYPE) and not isinstance(module, self.where):
            return False
        return self.type is None or _is_type(cast(Any, module.__class__), self.type)

    def claims_name(self, slot: Slot) -> bool:
        """Whether its glob matches the tensor's name, or its module's where tensors are said locally."""
        if not isinstance(self.where, str):
            return True
        subject = slot.name[: -len(slot.local) - 1] if self.tensors else slot.name
        return compiled(self.where).fullmatch(subject) is not None

    def selector(self, slot: Slot) -> str:
        """The part of the tensor that it speaks of, as ``Parts`` takes it; "" for the whole."""
        return self.rows or ",".join(_of_blocks(self.gates, slot.layout.block_names))

    def initializer_for(self, slot: Slot, roles: tuple[str, ...] = ()) -> Initializer | None:
        """What it gives this tensor, which has these structural roles, or None where it does not match."""
        if slot.is_buffer != self.buffers:
            return None
        if not self.claims_name(slot) or not self.claims_type(slot.module):
            return None
        if self.role and slot.layout.role not in self.role and not any(role in self.role for role in roles):
            return None
        if self.gates and not _of_blocks(self.gates, slot.layout.block_names):
            return None
        if self.ndim and slot.ndim not in self.ndim:
            return None
        if self.dtype is not None and slot.dtype != self.dtype:
            return None
        if self.shape is not None and not _fits(slot.shape, self.shape):
            return None
        if self.test is not None and not self.test(slot):
            return None
        if self.initializer is not None:
            return self.initializer
        return next((initializer for local, initializer in self.tensors if local == slot.local), None)

    @property
    def conditions(self) -> str:
        """What it asks of a tensor, without what it gives: ``role=weight``."""
        parts: list[str] = []
        if self.where is not None:
            parts.append(repr(self.where) if isinstance(self.where, str) else self.where.__name__)
        if self.type is not None:
            parts.append(f"type={self.type if isinstance(self.type, str) else self.type.__name__}")
        for name in ("role", "ndim"):
            values = getattr(self, name)
            if values:
                parts.append(f"{name}={'|'.join(map(str, values))}")
        if self.shape is not None:
            parts.append(f"shape={self.shape}")
        if self.dtype is not None:
            parts.append(f"dtype={str(self.dtype).removeprefix('torch.')}")
        if self.test is not None:
            parts.append(f"test={getattr(self.test, '__name__', 'test')}")
        if self.rows:
            parts.append(f"rows={self.rows}")
        if self.gates:
            parts.append(f"gates={','.join(self.gates)}")
        if self.buffers:
            parts.append("buffers")
        return ", ".join(parts)

    def __str__(self) -> str:
        given = [str(self.initializer)] if self.initializer is not None else []
        given += [f"{name}={initializer}" for name, initializer in self.tensors]
        return f"Rule({', '.join([self.conditions, *given] if self.conditions else given)})"


_TYPE = type


@functools.lru_cache(maxsize=4096)
def _is_type(cls: type, wanted: type | str) -> bool:
    if not isinstance(wanted, str):
        return issubclass(cls, wanted)
    return any(fnmatch.fnmatchcase(base.__name__, wanted) for base in cls.__mro__)


def _range(rows: object, source: str) -> str:
    """Rows as text, ``"0:64"``."""
    if rows is None or isinstance(rows, str):
        return rows or ""
    if isinstance(rows, slice) and rows.step in (None, 1):
        rows = (rows.start, rows.stop)
    if not isinstance(rows, (tuple, list)) or len(rows) != 2 or not all(end is None or isinstance(end, int) for end in rows):
        raise ArgumentTypeError(f"a rule's rows are a range, slice(0, 64) or (0, 64), not {rows!r} ({source})")
    return ":".join("" if end is None else str(end) for end in rows)


def _of_blocks(gates: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """The packed blocks that a rule's gates name, letter by letter where they are no names themselves; () unless all are there."""
    wanted = [name for gate in gates for name in ([gate] if gate in names else gate)]
    return tuple(wanted) if names and all(name in names for name in wanted) else ()


def _several(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, (tuple, list, set, frozenset)) else (value,)


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(want in (None, size) for size, want in zip(shape, wanted, strict=True))


def _dtype(dtype: torch.dtype | str | None, source: str) -> torch.dtype | None:
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    found = getattr(torch, str(dtype).removeprefix("torch."), None)
    if not isinstance(found, torch.dtype):
        known = [name for name in dir(torch) if isinstance(getattr(torch, name), torch.dtype)]
        raise ArgumentError(f"no dtype is called {dtype!r}.{nearest(str(dtype), known)} ({source})")
    return found


def _caller() -> str:
    """``file:line`` of the user's code that is being run, for messages and for the plan."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_PACKAGE, "<string>")):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def unmatched(
    rules: tuple[Rule, ...], touched: set[int], modules: Mapping[str, nn.Module], names: list[str]
) -> RuleError | None:
    """The error for rules that matched nothing, or None: a rule on a module's tensors is fine as soon as such a module exists."""
    lost = []
    for index, rule in enumerate(rules):
        if not rule.buffers:
            _refuse_buffers(rule, modules)
        if index in touched or rule.optional:
            continue
        if rule.tensors and any(rule.claims_module(name, module) for name, module in modules.items()):
            continue
        close = nearest(rule.where, modules if rule.tensors else names) if isinstance(rule.where, str) else ""
        lost.append(f"  {rule} ({rule.source}){close}")
    if not lost:
        return None
    advice = "correct the pattern, or say optional=True where that is meant"
    if any(rule.structure.intersection(rule.role) for rule in rules):
        advice += (
            "; a role that neither names nor a trace tell is said by Recipe(rules, roles={'**.proj.weight': 'residual_out'})"
        )
    return RuleError("these rules match nothing in the model:\n" + "\n".join(lost) + "\n" + advice)


def _refuse_buffers(rule: Rule, modules: Mapping[str, nn.Module]) -> None:
    """A rule that names a buffer without saying so would do nothing to it."""
    for local, _ in rule.tensors:
        for name, module in modules.items():
            if local in module._buffers and rule.claims_module(name, module):
                raise RuleError(
                    f"{rule} names {local}, which is a buffer of {type(module).__name__}: "
                    f"put it in a rule of its own with buffers=True ({rule.source})"
                )
