"""What an audit found: frozen data. How it looks is ``render/``'s."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from .._plan import Plan

SEVERITIES = ("info", "warning", "error")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, with the tensors or layers that it is wrong with.

    Args:
        code: of the check, e.g. ``U001``; ``initium explain U001`` says more.
        severity: ``error``, ``warning`` or ``info``.
        name: full name of the tensor or layer; a range of names where several are alike, ``layers.{0..3}.weight``. Where one line of
            code is guilty of more, the first.
        message: what is wrong, in a sentence.
        fix: what to write instead.
        source: the line that did it, ``file:line function``; None where nobody watched the construction.
        title: the check's name.
        names: every full name that the finding is about.
        fix_safety: ``safe``, ``unsafe`` (it changes what a correct model may have meant) or ``none`` (only the code can be changed).
        fingerprint: the same in later runs of the same model, whatever the indices and numbers.

    Example:
        >>> Finding("U001", "error", "scale", "nobody ever writes to it", "fill it").code
        'U001'
    """

    code: str
    severity: str
    name: str
    message: str
    fix: str
    source: str | None = None
    title: str = ""
    names: tuple[str, ...] = ()
    fix_safety: str = "none"
    fingerprint: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "names": list(self.names)}


@dataclass(frozen=True)
class NotRun:
    """A check, or a level, that could not be made.

    Args:
        what: its code, or the level's name.
        reason: why, in a sentence.
        failed: whether the model is at fault: it could not be built or run.
    """

    what: str
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class TensorNumbers:
    """What was measured of one tensor; None where it was not.

    Args:
        name, shape, dtype, role, buffer: which tensor, what its module uses it for.
        mean, std, kurtosis, low, high, zeros: of its finite elements.
        fan_in, fan_out: of one logical weight.
        law: what its writes declare, in words; planned_mean, planned_std, planned_low, planned_high, planned_kind: in numbers.
        source: the line that wrote it.
        sample: up to 512 values at even distances, for a histogram; fewer of a model of more than 2,000 tensors.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    buffer: bool
    mean: float | None = None
    std: float | None = None
    kurtosis: float | None = None
    low: float | None = None
    high: float | None = None
    zeros: int | None = None
    fan_in: int | None = None
    fan_out: int | None = None
    law: str | None = None
    planned_kind: str | None = None
    planned_mean: float | None = None
    planned_std: float | None = None
    planned_low: float | None = None
    planned_high: float | None = None
    source: str | None = None
    sample: tuple[float, ...] = ()


@dataclass(frozen=True)
class LayerNumbers:
    """What was measured of one call of one layer, in the order of the calls.

    Args:
        name, kind: the module's full name and class.
        rms, mean, largest: of its output.
        grad_rms: of the gradient that comes back to its output, or None.
        cosine: between its outputs for two inputs, or None.
    """

    name: str
    kind: str
    rms: float
    mean: float
    largest: float
    grad_rms: float | None = None
    cosine: float | None = None


@dataclass(frozen=True)
class Measured:
    """The measurements, apart from what they were judged to be.

    Args:
        tensors: one each, in model order.
        layers: one each call of a layer, in order; empty without a forward pass.
        parameters: how many numbers are trained.
        inputs: what the forward pass was called with, in words, or "".
        seconds: how long each part took.
    """

    tensors: tuple[TensorNumbers, ...] = ()
    layers: tuple[LayerNumbers, ...] = ()
    parameters: int = 0
    inputs: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What an audit found, what it passed, and what it could not look at.

    Args:
        label: what was audited.
        findings: the worst first.
        passed: codes of the checks that found nothing, each with its name.
        not_run: what could not be looked at, and why.
        measured: the numbers, for figures.
        seed: of the construction.

    Example:
        >>> import torch, initium
        >>> class Scale(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.scale = torch.nn.Parameter(torch.empty(8))
        >>> report = initium.audit(Scale, level="weights")
        >>> report.ok, [finding.code for finding in report.findings]
        (False, ['U001'])
    """

    label: str
    findings: tuple[Finding, ...]
    passed: tuple[tuple[str, str], ...] = ()
    not_run: tuple[NotRun, ...] = ()
    measured: Measured = field(default_factory=Measured, repr=False)
    seed: int = 0
    model: nn.Module | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """No error and no warning. (Notes of severity ``info`` are not wrong.)"""
        return not any(finding.severity != "info" for finding in self.findings)

    @property
    def failed(self) -> tuple[NotRun, ...]:
        """Why the model could not be built or run, if it could not."""
        return tuple(one for one in self.not_run if one.failed)

    def count(self, severity: str) -> int:
        """How many findings have this severity."""
        return Counter(finding.severity for finding in self.findings)[severity]

    def at_least(self, severity: str) -> tuple[Finding, ...]:
        """The findings of this severity and above."""
        return tuple(f for f in self.findings if SEVERITIES.index(f.severity) >= SEVERITIES.index(severity))

    def repair(self, seed: int = 0, *, unsafe: bool = False) -> Plan | None:
        """Draw anew what can be repaired by a recipe, in the audited model, and print the rules. Code is never edited.

        Args:
            seed: of the new values.
            unsafe: also where a correct model may have meant what it has.

        Returns:
            The plan that was applied; None where nothing could be repaired.
        """
        from .repair import repair

        return repair(self, seed, unsafe=unsafe)

    def to_dict(self) -> dict[str, Any]:
        """``{"version": 1, "findings": […], "passed": […], "not_run": […]}``, ready for JSON."""
        return {
            "version": 1,
            "label": self.label,
            "seed": self.seed,
            "ok": self.ok,
            "findings": [finding.to_dict() for finding in self.findings],
            "passed": [{"code": code, "name": name} for code, name in self.passed],
            "not_run": [{"code": one.what, "reason": one.reason} for one in self.not_run],
        }

    def __str__(self) -> str:
        from .render.text import text

        return text(self)

    def _repr_html_(self) -> str:
        """The figures, in a notebook."""
        from .render.html import fragment

        return fragment(self)


def finite(x: float | None) -> float | None:
    """A number for a field: None for NaN."""
    return None if x is None or math.isnan(x) else x
