"""Every check fires on the bad model of its page, alone, and stays quiet on the good one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from initium._audit.registry import SECTIONS, checks

sys.path.insert(0, str(Path(__file__).parent))
from cases import audited

ALL = list(checks())


@pytest.mark.parametrize("code", ALL)
def test_the_bad_model_has_this_finding_and_no_other(code: str) -> None:
    report = audited(checks()[code], "Example")
    assert {finding.code for finding in report.findings} == {code}, str(report)


@pytest.mark.parametrize("code", ALL)
def test_the_good_model_is_clean(code: str) -> None:
    report = audited(checks()[code], "Use instead")
    assert not report.findings, str(report)
    assert (code, checks()[code].name) in report.passed or code[0] == "X", report.not_run


@pytest.mark.parametrize("code", ALL)
def test_a_page_has_every_section(code: str) -> None:
    one = checks()[code]
    for title in SECTIONS[:5]:
        assert one.section(title), title
    assert one.summary.endswith(".")
    assert one.fix_safety == one.section("Fix safety").split(":")[0]
