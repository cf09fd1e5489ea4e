"""initium: weight initialisation for PyTorch. Say what every parameter gets, see it before it happens, get the same numbers everywhere."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import init as init
    from ._apply import initialize as initialize
    from ._audit.expect import expect as expect
    from ._audit.report import Finding as Finding
    from ._audit.report import Report as Report
    from ._audit.run import audit as audit
    from ._capture.build import build as build
    from ._capture.run import capture as capture
    from ._declare import declare as declare
    from ._declare import declaring as declaring
    from ._entry import Entry as Entry
    from ._errors import InitiumError as InitiumError
    from ._fans import Layout as Layout
    from ._gains import gain as gain
    from ._layouts.registry import module as module
    from ._measure.diff import Diff as Diff
    from ._measure.diff import diff as diff
    from ._measure.fingerprint import fingerprint as fingerprint
    from ._measure.stats import Stats as Stats
    from ._measure.stats import stats as stats
    from ._plan import Plan as Plan
    from ._planner import plan as plan
    from ._recipe import Recipe as Recipe
    from ._recipe import named as named
    from ._recipe import recipe as recipe
    from ._rules import Rule as Rule
    from .initializers import ICNR as ICNR
    from .initializers import Bilinear as Bilinear
    from .initializers import Chrono as Chrono
    from .initializers import ClassDefault as ClassDefault
    from .initializers import ComplexRayleigh as ComplexRayleigh
    from .initializers import Constant as Constant
    from .initializers import CutNormal as CutNormal
    from .initializers import DeltaOrthogonal as DeltaOrthogonal
    from .initializers import Dirac as Dirac
    from .initializers import DtBias as DtBias
    from .initializers import Eye as Eye
    from .initializers import Hadamard as Hadamard
    from .initializers import Hippo as Hippo
    from .initializers import HyperFan as HyperFan
    from .initializers import Initializer as Initializer
    from .initializers import KaimingNormal as KaimingNormal
    from .initializers import KaimingUniform as KaimingUniform
    from .initializers import Keep as Keep
    from .initializers import LecunNormal as LecunNormal
    from .initializers import LecunUniform as LecunUniform
    from .initializers import LogRange as LogRange
    from .initializers import LogUniform as LogUniform
    from .initializers import Mimetic as Mimetic
    from .initializers import NewTokens as NewTokens
    from .initializers import Normal as Normal
    from .initializers import Ones as Ones
    from .initializers import Orthogonal as Orthogonal
    from .initializers import Parts as Parts
    from .initializers import PriorBias as PriorBias
    from .initializers import Ramp as Ramp
    from .initializers import RandomWalk as RandomWalk
    from .initializers import Reset as Reset
    from .initializers import Sinusoids as Sinusoids
    from .initializers import Siren as Siren
    from .initializers import Sparse as Sparse
    from .initializers import TruncNormal as TruncNormal
    from .initializers import Uniform as Uniform
    from .initializers import Values as Values
    from .initializers import VarianceScaling as VarianceScaling
    from .initializers import XavierNormal as XavierNormal
    from .initializers import XavierUniform as XavierUniform
    from .initializers import Zeros as Zeros

__version__ = "0.1.0"

# name -> the module it lives in; loaded when asked for, so that `import initium` is cheap
_HOMES = {
    "_apply": ["initialize"],
    "_audit.expect": ["expect"],
    "_audit.report": ["Finding", "Report"],
    "_audit.run": ["audit"],
    "_capture.run": ["capture"],
    "_capture.build": ["build"],
    "_declare": ["declare", "declaring"],
    "_measure.diff": ["Diff", "diff"],
    "_measure.fingerprint": ["fingerprint"],
    "_errors": ["InitiumError"],
    "_fans": ["Layout"],
    "_layouts.registry": ["module"],
    "_entry": ["Entry"],
    "_plan": ["Plan"],
    "_planner": ["plan"],
    "_recipe": ["Recipe", "named", "recipe"],
    "_rules": ["Rule"],
    "_measure.stats": ["Stats", "stats"],
    "_gains": ["gain"],
    "init": [],
    "initializers": [
        *(
            "Bilinear",
            "Chrono",
            "ClassDefault",
            "ComplexRayleigh",
            "Constant",
            "CutNormal",
            "DeltaOrthogonal",
            "Dirac",
            "DtBias",
        ),
        *(
            "Eye",
            "Hadamard",
            "Hippo",
            "HyperFan",
            "ICNR",
            "Initializer",
            "KaimingNormal",
            "KaimingUniform",
            "Keep",
            "LecunNormal",
            "LecunUniform",
        ),
        *(
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
        ),
        *("Siren", "Sparse", "TruncNormal", "Uniform", "Values", "VarianceScaling", "XavierNormal", "XavierUniform", "Zeros"),
    ],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted([*_HOME_OF, "init"])


def __getattr__(name: str) -> Any:
    if name == "init":
        return importlib.import_module(".init", __name__)
    if name not in _HOME_OF:
        raise AttributeError(f"module 'initium' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return __all__
