"""A stable check has a bug to show: one in a released model, or a planted one that costs accuracy or loss."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from initium._audit.registry import checks

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
from planted import __main__ as planted
from planted.case import CASES
from planted.results import evidence, rows

BOOKKEEPING = {"X001"}  # about what the user said, not about a model
STABLE = [code for code, one in checks().items() if not one.preview and code not in BOOKKEEPING]


@pytest.mark.parametrize("code", STABLE)
def test_a_stable_check_has_its_evidence(code: str) -> None:
    assert evidence().get(code), f"{code}: plant its bug in benchmarks/planted, or make it preview=True"


def test_there_are_35_stable_checks_and_more() -> None:
    assert len(STABLE) >= 35


def test_every_planted_bug_was_measured() -> None:
    assert {row["code"]: row["what"] for row in rows()} == {code: case.what for code, case in CASES.items()}


@pytest.mark.parametrize("code", sorted(CASES))
def test_the_audit_finds_the_planted_bug_and_nothing_without_it(code: str) -> None:
    assert planted.fires(CASES[code], True)
    assert not planted.fires(CASES[code], False)


@pytest.mark.parametrize("code", ["D001", "N011", "Y002"])
def test_a_planted_bug_costs_what_the_file_says(code: str) -> None:
    (row,) = [row for row in rows() if row["code"] == code]
    with planted.one_thread():
        again = planted.measured(CASES[code], range(2))
    assert again["costs"]
    assert row["costs"]
    assert again["good"]["accuracy"] == pytest.approx(row["good"]["accuracy"], abs=0.1)
    assert again["bad"]["accuracy"] == pytest.approx(row["bad"]["accuracy"], abs=0.15)
