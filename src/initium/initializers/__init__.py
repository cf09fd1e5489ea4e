"""Initializers: what one tensor gets. One a file; ``_base.py`` holds what they share."""

from __future__ import annotations

from ._base import Initializer, as_initializer, initializer_class
from .constant import Constant, Ones, Zeros
from .cut_normal import CutNormal
from .dirac import Dirac
from .eye import Eye
from .keep import ClassDefault, Keep, Reset
from .normal import Normal
from .orthogonal import Orthogonal
from .parts import Parts
from .sparse import Sparse
from .trunc_normal import TruncNormal
from .uniform import Uniform
from .values import Values
from .variance_scaling import (
    KaimingNormal,
    KaimingUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    XavierNormal,
    XavierUniform,
)

__all__ = [
    "ClassDefault",
    "Constant",
    "CutNormal",
    "Dirac",
    "Eye",
    "Initializer",
    "KaimingNormal",
    "KaimingUniform",
    "Keep",
    "LecunNormal",
    "LecunUniform",
    "Normal",
    "Ones",
    "Orthogonal",
    "Parts",
    "Reset",
    "Sparse",
    "TruncNormal",
    "Uniform",
    "Values",
    "VarianceScaling",
    "XavierNormal",
    "XavierUniform",
    "Zeros",
    "as_initializer",
    "initializer_class",
]
