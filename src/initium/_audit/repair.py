"""Repair: the rules that would draw anew what an audit found wrong, applied to the audited model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._errors import PlanError
from .._grouping import grouped
from .report import Report

if TYPE_CHECKING:
    from .._plan import Plan


def repair(report: Report, seed: int, *, unsafe: bool) -> Plan | None:
    """Draw anew what is repairable; see ``Report.repair``."""
    from .._apply import initialize
    from .._recipe import Recipe
    from .._rules import Rule
    from ..initializers import ClassDefault, Keep

    if report.model is None:
        raise PlanError("a report on a file has no model to repair")
    allowed = ("safe", "unsafe") if unsafe else ("safe",)
    trained = {name for name, _ in report.model.named_parameters()}
    names = sorted({name for f in report.findings if f.fix_safety in allowed for name in f.names if name in trained})
    left = sorted({f.code for f in report.findings if f.fix_safety == "unsafe" and not unsafe})
    if left:
        print(f"left alone, since a correct model may mean it: {', '.join(left)} (unsafe=True repairs these too)")
    if not names:
        return None
    rules = [Rule("**", Keep())]
    for group in grouped((name, None) for name in names):
        for name in group.names:
            rules.append(Rule(name, ClassDefault(), optional=True))
        print(f"Rule({group.glob!r}, ClassDefault())")
    return initialize(report.model, Recipe(rules), seed=seed, only=names)
