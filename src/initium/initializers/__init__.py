"""Initializers: what one tensor gets. One a file; ``_base.py`` holds what they share."""

from __future__ import annotations

from ._base import Initializer, as_initializer, initializer_class
from .bilinear import Bilinear
from .chrono import Chrono
from .complex_rayleigh import ComplexRayleigh
from .constant import Constant, Ones, Zeros
from .cut_normal import CutNormal
from .delta_orthogonal import DeltaOrthogonal
from .dirac import Dirac
from .dt_bias import DtBias
from .eye import Eye
from .hadamard import Hadamard
from .hippo import Hippo, Ramp
from .hyper_fan import HyperFan
from .icnr import ICNR
from .keep import ClassDefault, Keep, Reset, asks_the_class
from .log_range import LogRange
from .log_uniform import LogUniform
from .mimetic import Mimetic
from .new_tokens import NewTokens
from .normal import Normal
from .orthogonal import Orthogonal
from .parts import Parts
from .prior_bias import PriorBias
from .random_walk import RandomWalk
from .sinusoids import Sinusoids
from .siren import Siren
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
    "ICNR",
    "Bilinear",
    "Chrono",
    "ClassDefault",
    "ComplexRayleigh",
    "Constant",
    "CutNormal",
    "DeltaOrthogonal",
    "Dirac",
    "DtBias",
    "Eye",
    "Hadamard",
    "Hippo",
    "HyperFan",
    "Initializer",
    "KaimingNormal",
    "KaimingUniform",
    "Keep",
    "LecunNormal",
    "LecunUniform",
    "LogRange",
    "LogUniform",
    "Mimetic",
    "NewTokens",
    "Normal",
    "Ones",
    "Orthogonal",
    "Parts",
    "PriorBias",
    "Ramp",
    "RandomWalk",
    "Reset",
    "Sinusoids",
    "Siren",
    "Sparse",
    "TruncNormal",
    "Uniform",
    "Values",
    "VarianceScaling",
    "XavierNormal",
    "XavierUniform",
    "Zeros",
    "as_initializer",
    "asks_the_class",
    "initializer_class",
]
