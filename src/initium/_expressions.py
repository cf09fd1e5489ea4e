"""Expressions in recipes, ``"0.02 / sqrt(2 * depth)"``: arithmetic on names, and nothing else.

The syntax tree is walked by hand; no Python is evaluated. sqrt is IEEE's; exp, log and powers that are not whole go through mpmath,
so that a number is the same on every machine.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ._errors import ArgumentError, nearest

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def _by_mpmath(name: str) -> Callable[[float], float]:
    def function(x: float) -> float:
        from mpmath import mp

        with mp.workprec(120):
            return float(getattr(mp, name)(x))

    return function


def _power(base: float, exponent: float) -> float:
    from mpmath import mp, mpf

    if abs(exponent) > 1024:
        raise ArgumentError(f"the exponent {exponent} is out of range")
    if base == 0 and exponent < 0:
        raise ZeroDivisionError("0 to a negative power")
    if base < 0 and exponent != int(exponent):
        raise ValueError("a negative number to a power that is not whole")
    with mp.workprec(120):
        return float(mp.power(mpf(base), mpf(exponent)))


_FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt,
    "exp": _by_mpmath("exp"),
    "log": _by_mpmath("log"),
    "min": min,
    "max": max,
    "abs": abs,
}
_LONGEST = 200


@dataclass(frozen=True)
class Expression:
    """An arithmetic expression, checked when it is written and worked out when the names are known."""

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > _LONGEST:
            raise ArgumentError(f"an expression has at most {_LONGEST} characters: {self.text[:40]!r}…")
        try:
            tree = ast.parse(self.text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ArgumentError(f"{self.text!r} is not an arithmetic expression: write e.g. '0.02 / sqrt(2 * depth)'") from None
        for node in ast.walk(tree):
            self._check(node)

    def _check(self, node: ast.AST) -> None:
        allowed = (
            ast.Expression,
            ast.BinOp,
            ast.UnaryOp,
            ast.Call,
            ast.Name,
            ast.Constant,
            ast.Load,
            ast.operator,
            ast.unaryop,
        )
        if not isinstance(node, allowed):
            raise ArgumentError(
                f"{self.text!r}: only + - * / ** ( ), names, numbers and {', '.join(_FUNCTIONS)} are understood"
            )
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or node.keywords:
                raise ArgumentError(f"{self.text!r}: the functions are {', '.join(_FUNCTIONS)}")
        elif isinstance(node, ast.BinOp) and type(node.op) not in (*_BINARY, ast.Pow):
            raise ArgumentError(f"{self.text!r}: the operators are + - * / // **")
        elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, (ast.UAdd, ast.USub)):
            raise ArgumentError(f"{self.text!r}: the signs are + and -")
        elif isinstance(node, ast.Constant) and (isinstance(node.value, bool) or not isinstance(node.value, (int, float))):
            raise ArgumentError(f"{self.text!r}: {node.value!r} is not a number")

    def evaluate(self, names: Mapping[str, float]) -> float:
        """The value; ``names`` are what it may refer to."""
        try:
            value = float(self._value(ast.parse(self.text.strip(), mode="eval").body, names))
        except (ZeroDivisionError, OverflowError, ValueError, TypeError) as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError(f"{self.text!r} has no value here: {error}") from None
        if not math.isfinite(value):
            raise ArgumentError(f"{self.text!r} is not a finite number here: {value}")
        return value

    def _value(self, node: ast.expr, names: Mapping[str, float]) -> float:
        if isinstance(node, ast.Constant):
            return node.value  # type: ignore[return-value]
        if isinstance(node, ast.Name):
            if node.id == "pi":
                return math.pi
            if node.id not in names:
                raise ArgumentError(
                    f"{self.text!r}: nothing is called {node.id!r} here.{nearest(node.id, names)} Known: {', '.join([*sorted(names), 'pi'])}"
                )
            return names[node.id]
        if isinstance(node, ast.UnaryOp):
            operand = self._value(node.operand, names)
            return -operand if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left, names), self._value(node.right, names)
            return _power(left, right) if isinstance(node.op, ast.Pow) else _BINARY[type(node.op)](left, right)
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        return float(_FUNCTIONS[node.func.id](*(self._value(argument, names) for argument in node.args)))

    def __str__(self) -> str:
        return self.text
