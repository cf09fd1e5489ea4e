"""pytest: a failed ``assert initium.audit(model).ok`` shows the report; a fixture does both in a word. Nothing here imports torch at start.

def test_initialization(initium_audit):
    initium_audit(Net)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .._audit.report import Report


@pytest.fixture
def initium_audit() -> Callable[..., Report]:
    """``initium.audit``, which fails the test with the report where there is an error or a warning."""

    def audited(*args: Any, **kwargs: Any) -> Report:
        __tracebackhide__ = True
        import initium

        report = initium.audit(*args, **kwargs)
        if not report.ok:
            pytest.fail(str(report), pytrace=False)
        return report

    return audited


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    outcome = yield
    if call.excinfo is not None and call.excinfo.errisinstance(AssertionError):
        outcome.sections += [("initium audit", str(one)) for one in _reports(call.excinfo.tb)]
    return outcome


def _reports(traceback: TracebackType | None) -> list[Report]:
    """The reports, not ok, that the failed line had in hand: in variables, or in those that pytest's assert keeps for its parts."""
    module = sys.modules.get("initium._audit.report")  # else there is none
    if module is None:
        return []
    found: dict[int, Report] = {}
    while traceback is not None:
        for value in traceback.tb_frame.f_locals.values():
            if isinstance(value, module.Report) and not value.ok:
                found[id(value)] = value
        traceback = traceback.tb_next
    return list(found.values())
