"""The errors initium raises: each is an InitiumError and the built-in that torch raises for the same fault."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InitiumError(Exception):
    """Anything initium refuses, in a sentence: what was wrong, where, and what to write instead."""


class ArgumentError(InitiumError, ValueError):
    """A value that has the right type and no meaning: std < 0, a seed out of range, an unknown name."""


class ArgumentTypeError(InitiumError, TypeError):
    """A value of the wrong type."""


class RuleError(InitiumError, ValueError):
    """A recipe that does not fit the model: a rule that matches nothing, a parameter that no rule claims."""


class FileError(InitiumError, ValueError):
    """A file that cannot be read as what it should be; the message says file, line and column."""


class PlanError(InitiumError, RuntimeError):
    """A plan that cannot be run on this model."""


class WriteError(InitiumError, RuntimeError):
    """A tensor that cannot be written: expanded, inference, meta, an empty placeholder."""


class ModelError(InitiumError, RuntimeError):
    """A model whose own code fails: its constructor raises, or makes no module."""


class BackendError(InitiumError, RuntimeError):
    """A backend that was asked for and cannot run here."""


def nearest(name: str, known: Iterable[str]) -> str:
    """``" Did you mean 'xavier'?"`` when a known name is close to ``name``, else ``""``."""
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def counted(n: int, one: str, many: str = "") -> str:
    """``1 tensor``, ``1,024 tensors``; ``many`` where the plural takes more than an s."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def reason_of(error: BaseException) -> str:
    """The first line of another library's error, or its class where it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def listing(names: Iterable[str], most: int = 8) -> str:
    """The names, one a line, the long tail counted."""
    names = list(names)
    lines = [f"  {name}" for name in names[:most]]
    if len(names) > most:
        lines.append(f"  … and {len(names) - most} more")
    return "\n".join(lines)
