"""What the observer of a construction sees: lost initialisations, the guilty line, laws through arithmetic."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

import initium


def planted(write: Callable[[nn.Module], object], wrap: Callable[[nn.Module], nn.Module]) -> initium.Report:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.conv = wrap(nn.Conv1d(16, 16, 3))
            write(self.conv)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x)

    return initium.audit(Model, level="weights")


def new(module: nn.Module) -> nn.Module:
    return nn.utils.parametrizations.weight_norm(module)


def old(module: nn.Module) -> nn.Module:
    return nn.utils.weight_norm(module)


@pytest.mark.parametrize("wrap", [new, old])
@pytest.mark.parametrize(
    "write",
    [
        lambda m: nn.init.normal_(m.weight, std=0.01),
        lambda m: m.weight.data.normal_(0, 0.01),
        lambda m: nn.init.kaiming_uniform_(m.weight.data),
    ],
)
def test_an_init_that_a_weight_norm_swallows(
    write: Callable[[nn.Module], object], wrap: Callable[[nn.Module], nn.Module]
) -> None:
    (finding,) = planted(write, wrap).findings
    assert finding.code == "U012"
    assert finding.name == "conv.weight"
    assert "test_construction.py" in (finding.source or "")


def test_a_write_through_the_parametrisation_is_none() -> None:
    def write(module: nn.Module) -> None:
        module.weight = nn.init.normal_(torch.empty(16, 16, 3), std=0.01)

    assert planted(write, new).ok


@pytest.mark.parametrize(
    "write",
    [
        lambda m: nn.init.normal_(m.weight[[0, 1]], std=0.01),
        lambda m: m.weight.data.double().normal_(0, 0.01),
        lambda m: nn.init.orthogonal_(m.weight.detach().clone()),
    ],
)
def test_an_init_that_goes_into_a_copy(write: Callable[[nn.Module], object]) -> None:
    (finding,) = planted(write, lambda module: module).findings
    assert finding.code == "L003"
    assert finding.name == "conv.weight"


def law_of(write: Callable[[torch.Tensor], object]) -> initium._audit.report.TensorNumbers:  # type: ignore[name-defined]
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.empty(300, 400))
            with torch.no_grad():
                write(self.weight)

    report = initium.audit(Model, level="weights")
    assert not [finding for finding in report.findings if finding.code[0] == "S" and finding.severity == "error"], str(report)
    return report.measured.tensors[0]


@pytest.mark.parametrize(
    ("write", "kind", "std"),
    [
        (lambda w: w.normal_(0, 0.3), "normal", 0.3),
        (lambda w: w.normal_().mul_(0.3).add_(1.0), "normal", 0.3),
        (lambda w: w.copy_(torch.randn(300, 400) * 0.3 / 2), "normal", 0.15),
        (lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5)), "uniform", 1 / math.sqrt(3 * 400)),
        (lambda w: nn.init.xavier_normal_(w), "normal", math.sqrt(2 / 700)),
        (lambda w: nn.init.trunc_normal_(w, std=1.0, a=-1.0, b=1.0), "truncated", 0.5395599),
        (lambda w: w.uniform_(-0.9, 0.9).erfinv_().mul_(math.sqrt(2)), "truncated", 0.78931),
        (lambda w: w.copy_(torch.rand(300, 400)).sub_(0.5), "uniform", 1 / math.sqrt(12)),
    ],
)
def test_the_declared_law_is_followed_through_arithmetic(
    write: Callable[[torch.Tensor], object], kind: str, std: float
) -> None:
    """120,000 elements: the measured std is within 1 % with probability 1 − 1e-6."""
    numbers = law_of(write)
    assert numbers.planned_kind == kind
    assert numbers.planned_std == pytest.approx(std, rel=1e-3)
    assert numbers.std == pytest.approx(std, rel=1e-2)


def test_an_unfilled_table_of_integers_is_found() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.register_buffer("index", torch.empty(7, dtype=torch.int64))

    (finding,) = initium.audit(Model, level="static").findings
    assert (finding.code, finding.name) == ("U002", "index")
