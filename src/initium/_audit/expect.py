"""What a model means by something unusual, said by its author: ``initium.expect``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import nn

from .._errors import ArgumentError, ArgumentTypeError
from .._patterns import compiled
from .measure.seen import Seen
from .report import Finding

_ATTRIBUTE = "_initium_expected"
_EVERYWHERE: list[Expectation] = []


@dataclass(frozen=True)
class Expectation:
    """That a finding is meant: made by ``initium.expect``."""

    pattern: str
    code: str
    reason: str
    source: str = field(default="", compare=False)

    def covers(self, finding: Finding, prefix: str = "") -> bool:
        """Whether a finding is the expected one: its code, and all of its names match."""
        if not finding.code.startswith(self.code):
            return False
        pattern = compiled(self.pattern)
        names = finding.names or (finding.name,)
        return all(name.startswith(prefix) and pattern.fullmatch(name[len(prefix) :]) for name in names)


def expect(pattern: str, code: str, reason: str) -> Expectation:
    """Say that a finding is meant, so that audits leave it out; one that nothing fits any more is itself a finding, X001.

    Inside a module's constructor the pattern is over names below that module, and stays with it. Elsewhere it holds for all later
    audits of this process, over full names, or, given as ``audit(…, expect=[…])``, for that one.

    Args:
        pattern: a glob over full names: ``"head.weight"``, ``"**.gamma"``.
        code: a check's code or the beginning of one: ``"Y005"``.
        reason: why it is meant; reports show it.

    Returns:
        The expectation, for ``audit(…, expect=[…])``.

    Raises:
        ArgumentError: a pattern that cannot be understood, a code that is none, or no reason.

    Example:
        >>> class Head(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.scale = nn.Parameter(torch.empty(8))
        ...         expect("scale", "U001", reason="filled by the trainer")
        >>> import torch, initium
        >>> initium.audit(Head, level="weights").ok
        True
    """
    from .registry import checks

    for name, value in (("pattern", pattern), ("code", code), ("reason", reason)):
        if not isinstance(value, str):
            raise ArgumentTypeError(f"expect: {name} is text, not {type(value).__name__}")
    compiled(pattern)
    if not any(known.startswith(code.upper()) for known in checks()) or not code:
        raise ArgumentError(f"expect: no check's code begins with {code!r}; initium explain lists them")
    if not reason.strip():
        raise ArgumentError("expect: say why it is meant: reason='…'")
    frame = sys._getframe(1)
    said = Expectation(pattern, code.upper(), reason, f"{frame.f_code.co_filename}:{frame.f_lineno}")
    owner = frame.f_locals.get("self")
    if isinstance(owner, nn.Module):
        owner.__dict__.setdefault(_ATTRIBUTE, []).append(said)
    else:
        _EVERYWHERE.append(said)
    return said


def applied(
    findings: Iterable[Finding], seen: Seen, given: Iterable[Expectation]
) -> tuple[list[Finding], list[tuple[Finding, Expectation]], list[Expectation]]:
    """(findings that nobody expected, expected ones with their reason, expectations that nothing fits)."""
    given = list(given)
    for one in given:
        if not isinstance(one, Expectation):
            raise ArgumentTypeError(f"expect= takes what initium.expect returns, not {type(one).__name__}")
    _EVERYWHERE[:] = [one for one in _EVERYWHERE if one not in given]
    names = list(seen.tensors)
    known: list[tuple[str, Expectation]] = [("", one) for one in given]
    known += [("", one) for one in _EVERYWHERE if any(compiled(one.pattern).fullmatch(name) for name in names)]
    for name, module in seen.modules():
        known += [(f"{name}." if name else "", one) for one in module.__dict__.get(_ATTRIBUTE, ())]
    used: set[int] = set()
    left, meant = [], []
    for finding in findings:
        fits = [(prefix, one) for prefix, one in known if one.covers(finding, prefix)]
        used |= {id(one) for _, one in fits}
        if fits:
            meant.append((finding, fits[0][1]))
        else:
            left.append(finding)
    unused = list({id(one): one for _, one in known if id(one) not in used}.values())
    return left, meant, unused
