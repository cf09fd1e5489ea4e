"""Expressions in recipes: arithmetic and nothing else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initium import InitiumError, Normal
from initium._expressions import Expression


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.02 / sqrt(2 * depth)", 0.02 / math.sqrt(24)),
        ("-fan_in ** -0.5", -(64**-0.5)),
        ("min(1, fan_out / fan_in) * 3", 1.5),
        ("(2 + 3) * 4 // 3", 6.0),
        ("exp(log(5))", 5.0),
        ("pi", math.pi),
        ("1e-4", 1e-4),
        ("abs(-2)", 2.0),
    ],
)
def test_value(text: str, value: float) -> None:
    assert Expression(text).evaluate({"depth": 12, "fan_in": 64, "fan_out": 32}) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "().__class__",
        "fan_in.real",
        "[1][0]",
        "lambda: 1",
        "open('x')",
        "1 if 2 else 3",
        "'a'",
        "1j",
        "f'{1}'",
        "a := 1",
        "1 < 2",
        "1 % 2",
        "~1",
        "",
        "sqrt(x=1)",
        "9" * 300,
        "True",
    ],
)
def test_nothing_but_arithmetic_is_understood(text: str) -> None:
    with pytest.raises(InitiumError):
        Expression(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "no value"),
        ("sqrt(-1)", "no value"),
        ("1e308 * 10", "not a finite"),
        ("depht", "Did you mean 'depth'"),
        ("2 ** 2000", "range"),
        ("(-8) ** 0.5", "no value here: a negative number to a power that is not whole"),
        ("0 ** -1", "no value here: 0 to a negative power"),
        ("huge * huge", "no value here: int too large"),
    ],
)
def test_what_has_no_value_says_so(text: str, message: str) -> None:
    with pytest.raises(InitiumError, match=message):
        Expression(text).evaluate({"depth": 1, "huge": 10**300})


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_it_agrees_with_python(a: float, b: float) -> None:
    names = {"a": a, "b": b}
    assert Expression("a + b * a - a / b").evaluate(names) == a + b * a - a / b


def test_an_initializer_takes_one() -> None:
    normal = Normal(std="0.02 / sqrt(depth)")
    assert normal.bound({"depth": 4}) == Normal(std=0.01)
