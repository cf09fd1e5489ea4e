"""Gains: by how much a weight must grow so that a nonlinearity keeps the scale of what passes through it."""

from __future__ import annotations

import math


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Torch's names and numbers for now."""
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    return 1.0
