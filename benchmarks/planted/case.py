"""A planted bug: one network twice, with the bug and without, and nothing else different."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from .tasks import Task, learns


@dataclass(frozen=True)
class Case:
    """One bug.

    Args:
        code: the check that finds it.
        what: the bug, in a few words.
        make: the network; ``make(True)`` has the bug.
        task: what it costs is measured by.
        inputs: for the audit, where it cannot make them.
        given: the audit gets the model built, as the check needs it.
        options: more arguments of ``initium.audit``.
    """

    code: str
    what: str
    make: Callable[[bool], nn.Module]
    task: Task
    inputs: Any = None
    given: bool = False
    options: dict[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {}
LEARNS = learns()


def planted(
    code: str, what: str, task: Task = LEARNS, *, inputs: Any = None, given: bool = False, **options: Any
) -> Callable[[Callable[[bool], nn.Module]], Callable[[bool], nn.Module]]:
    """Register the network under a function as a check's planted bug."""

    def register(make: Callable[[bool], nn.Module]) -> Callable[[bool], nn.Module]:
        assert code not in CASES, code
        CASES[code] = Case(code, what, make, task, inputs, given, options)
        return make

    return register
