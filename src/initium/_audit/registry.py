"""The checks: each a file in ``findings/`` whose docstring is its page, found by importing the folder."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._errors import ArgumentError
from .measure.seen import Seen
from .report import SEVERITIES

LEVELS = ("static", "weights", "forward", "grad")
EXTRAS = ("spectra", "within", "evaluation")  # measured only for the checks that ask
NEEDS = ("construction", "rebuild", "meta", "values", "model", *EXTRAS)
SECTIONS = ("What it does", "Why it is bad", "Example", "Use instead", "Fix safety", "References")


class Hit(NamedTuple):
    """What a finder says: one tensor or layer, and what is wrong with it.

    Args:
        name: full name, or "" for the whole model.
        message: a sentence.
        fix: what to write instead.
        source: the line that did it.
        severity: other than the check's own.
        names: all the names, where one hit is about several.
    """

    name: str
    message: str
    fix: str
    source: str | None = None
    severity: str | None = None
    names: tuple[str, ...] = ()


Finder = Callable[[Seen], Iterator[Hit]]


@dataclass(frozen=True)
class Check:
    """One check.

    Args:
        code, name: never reused.
        severity, level: see ``Finding`` and ``initium.audit``.
        preview: off unless asked for.
        needs: what must have been measured beside its level: ``construction``, ``rebuild``, ``meta``, ``model``, or one of ``EXTRAS``.
        fix_safety: ``safe``, ``unsafe`` or ``none``.
        explains: codes that this one is the cause of: their hits on the same tensors are left out.
        page: the docstring: a summary and the sections.
        find: the finder.
    """

    code: str
    name: str
    severity: str
    level: str
    preview: bool
    needs: tuple[str, ...]
    fix_safety: str
    explains: tuple[str, ...]
    page: str
    find: Finder

    def section(self, title: str) -> str:
        """One section of the page, without its heading; "" where there is none."""
        found = re.search(
            rf"^{re.escape(title)}:\n(.*?)(?=^(?:{'|'.join(SECTIONS)}):\n|\Z)", self.page, re.DOTALL | re.MULTILINE
        )
        return "" if found is None else _dedented(found.group(1))

    @property
    def summary(self) -> str:
        """The first line of the page."""
        return self.page.strip().split("\n")[0]


_CHECKS: dict[str, Check] = {}


def check(
    code: str,
    name: str,
    severity: str,
    *,
    level: str,
    preview: bool = False,
    needs: tuple[str, ...] = (),
    fix: str = "none",
    explains: tuple[str, ...] = (),
) -> Callable[[Finder], Finder]:
    """Register a finder; its module's docstring is its page.

    Raises:
        ArgumentError: a code that is taken, or a page that lacks a section.
    """

    def register(find: Finder) -> Finder:
        page = find.__globals__.get("__doc__") or ""
        if code in _CHECKS:
            raise ArgumentError(f"the code {code} is taken by {_CHECKS[code].name!r}: codes are never reused")
        if severity not in SEVERITIES or level not in LEVELS or set(needs) - set(NEEDS):
            raise ArgumentError(f"{code}: severity is one of {SEVERITIES}, level of {LEVELS}, needs of {NEEDS}")
        lacking = [title for title in SECTIONS[:5] if f"\n{title}:\n" not in page]
        if lacking:
            raise ArgumentError(f"{code}: the docstring of {find.__module__} lacks the sections {', '.join(lacking)}")
        _CHECKS[code] = Check(code, name, severity, level, preview, needs, fix, explains, page, find)
        return find

    return register


@functools.cache
def checks() -> dict[str, Check]:
    """Every check, by code, in order."""
    from . import findings

    for found in pkgutil.iter_modules(findings.__path__):
        importlib.import_module(f"{findings.__name__}.{found.name}")
    return dict(sorted(_CHECKS.items()))


def check_of(code: str) -> Check:
    """The check of a code.

    Raises:
        ArgumentError: there is none; with the nearest.
    """
    found = checks().get(code.upper())
    if found is None:
        near = difflib.get_close_matches(code.upper(), list(checks()), n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ArgumentError(f"no check has the code {code!r}.{hint} initium explain lists them")
    return found


def selected(select: Any, ignore: Any, preview: bool) -> list[Check]:
    """The checks that prefixes of codes choose: ``"U,S0"`` or a list of such; ``ignore`` goes over ``select``.

    Raises:
        ArgumentError: a prefix of no code.
    """
    chosen, left = _prefixes(select), _prefixes(ignore)
    for prefix in (*chosen, *left):
        if not any(code.startswith(prefix) for code in checks()):
            families = ", ".join(sorted({code[0] for code in checks()}))
            raise ArgumentError(f"no check's code begins with {prefix!r}: the families are {families}, a code is like U001")
    found = []
    for code, one in checks().items():
        if chosen and not any(code.startswith(prefix) for prefix in chosen):
            continue
        if any(code.startswith(prefix) for prefix in left):
            continue
        if one.preview and not preview and code not in chosen:
            continue
        found.append(one)
    return found


def _prefixes(said: Any) -> tuple[str, ...]:
    if said is None:
        return ()
    words = said.split(",") if isinstance(said, str) else [word for one in said for word in str(one).split(",")]
    return tuple(word.strip().upper() for word in words if word.strip())


def _dedented(text: str) -> str:
    lines = text.strip("\n").split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines).strip("\n")
