"""A small network to plant a bug in, and what the audit finds there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import initium


def found(make: Any, inputs: Any = None, **said: Any) -> dict[str, initium.Finding]:
    report = initium.audit(make, inputs, **said)
    assert not report.failed, str(report)
    return {finding.code: finding for finding in report.findings if finding.severity != "info" or said.get("select")}


def batch(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


class Net(nn.Module):
    """first, a rectifier that is a function, last."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 64), nn.Linear(64, 3)
        self.start()

    def start(self) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.first(x)))


def of(start: Any, base: type[Net] = Net) -> type[Net]:
    return type("Planted", (base,), {"start": start})
