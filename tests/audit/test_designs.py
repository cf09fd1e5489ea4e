"""Correct designs stay quiet, unusual or large as they are."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import initium


class Residual(nn.Module):
    """Zero-initialised residual ends, BatchNorm γ 0, LayerScale."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(32, 32, 3, padding=1, bias=False) for _ in range(4))
        self.norms = nn.ModuleList(nn.BatchNorm2d(32) for _ in range(4))
        self.scales = nn.ParameterList(nn.Parameter(torch.full((32, 1, 1), 1e-6)) for _ in range(4))
        self.head = nn.Linear(32, 10)
        for norm in self.norms:
            nn.init.zeros_(norm.weight)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for conv, norm, scale in zip(self.convs, self.norms, self.scales, strict=True):
            x = x + scale * norm(conv(x.relu()))  # a rectifier after a norm of scale 0 would be shut for good
        return self.head(x.mean((2, 3)))


class AdaLNZero(nn.Module):
    """A modulation that starts at 0, twice in a row, as in DiT: its end is 0 as well."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.body = nn.Linear(32, 32), nn.Linear(32, 32)
        self.modulation, self.last = nn.Linear(32, 96), nn.Linear(32, 32)
        self.norm = nn.LayerNorm(32, elementwise_affine=False)
        for layer in (self.modulation, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        shift, scale, gate = self.modulation(x).chunk(3, -1)
        x = x + gate * self.body(self.norm(x) * (1 + scale) + shift)
        return self.last(self.norm(x))


class LoRA(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(32, 32).requires_grad_(False)
        self.lora_A, self.lora_B = nn.Linear(32, 4, bias=False), nn.Linear(4, 32, bias=False)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.lora_B(self.lora_A(x))


class GemmaRMSNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(32))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * (1 + self.weight)


class Language(nn.Module):
    """Tied embeddings, a learnt position table of 0, a sinusoidal one, RMSNorm stored as w − 1."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(100, 32)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.positions = nn.Parameter(torch.zeros(1, 16, 32))
        angles = torch.arange(16)[:, None] / 1e4 ** (torch.arange(16) / 16)
        self.register_buffer("table", torch.cat([angles.sin(), angles.cos()], -1), persistent=False)
        self.norm, self.mix = GemmaRMSNorm(), nn.Linear(32, 32)
        self.head = nn.Linear(32, 100, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.positions + self.table
        return self.head(self.norm(x + self.mix(x)))


class Mamba(nn.Module):
    """A_log: every row the same table, by design; D of 1; a depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(32, 32)
        self.A_log = nn.Parameter(torch.log(torch.arange(1, 17).float()).repeat(32, 1))
        self.D = nn.Parameter(torch.ones(32))
        self.conv = nn.Conv1d(32, 32, 4, groups=32, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.inner(x).transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
        return x * self.D + (x[..., None] * -self.A_log.exp()).sum(-1)


class WithTarget(nn.Module):
    """A target network that starts as a copy and is never trained."""

    def __init__(self, frozen: bool = True) -> None:
        super().__init__()
        self.online = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
        self.slow = copy.deepcopy(self.online).requires_grad_(not frozen)

    def forward(self, x: Tensor) -> Tensor:
        return self.online(x)


class Deep(nn.Module):
    """Projections that leave the residual stream scaled by depth, GPT-2's way, and a packed attention."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True) for _ in range(3)]
        self.layers = nn.ModuleList(layers)
        for layer in self.layers:
            nn.init.normal_(layer.linear2.weight, std=0.02 / 6**0.5)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Convolutions(nn.Module):
    """Orthogonal, sparse, dirac and delta starts, and a bilinear upsampling that is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3, padding=1), nn.Linear(16, 16)
        nn.init.orthogonal_(self.a.weight)
        nn.init.dirac_(self.b.weight)
        nn.init.sparse_(self.c.weight, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.b(self.a(x)).mean((2, 3)))


DESIGNS: list[tuple[Any, Any]] = [
    *((make, None) for make in (Residual, AdaLNZero, LoRA, Language, Mamba, WithTarget, Deep, Convolutions)),
    (lambda: WithTarget(frozen=False), None),
    (lambda: nn.LSTM(32, 32, 2, batch_first=True), None),
    (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(32, 32)), None),
    (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(32, 32)), None),
    (lambda: nn.utils.parametrizations.orthogonal(nn.Linear(32, 32)), None),
]
INPUTS: dict[Any, Any] = {Mamba: torch.randn(2, 12, 32), Deep: torch.randn(2, 12, 32)}


@pytest.mark.parametrize(("make", "inputs"), DESIGNS)
def test_a_correct_design_is_quiet(make: Any, inputs: Any) -> None:
    report = initium.audit(make, INPUTS.get(make, inputs))
    assert report.ok, str(report)
    assert not report.failed
    assert not {finding.code for finding in report.findings} - {"G001", "F010", "S004"}


def test_a_correct_design_given_as_a_model_is_quiet_and_stays_as_it_was() -> None:
    model = Residual().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    report = initium.audit(model)
    assert report.ok, str(report)
    assert report.measured.inputs
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(module.training for module in model.modules())
    assert {module.momentum for module in model.norms} == {0.1}
    assert all(p.grad is None for p in model.parameters())


class Wide(nn.Module):
    """10,000 drawn tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.normals = nn.ParameterList(nn.Parameter(nn.init.normal_(torch.empty(40, 40), std=0.1)) for _ in range(5000))
        self.uniforms = nn.ParameterList(nn.Parameter(nn.init.uniform_(torch.empty(40, 40), -0.1, 0.1)) for _ in range(5000))


def test_a_correct_model_of_10_000_tensors_is_clean() -> None:
    """Fails for one seed in about 1,000 (each statistical check has a family-wise error of 1e-3); this is seed 0."""
    report = initium.audit(Wide, level="weights", rebuild=False)
    assert not report.findings, str(report)
    assert {"S001", "S002", "S005", "Y001", "Y002", "Y006"} <= {code for code, _ in report.passed}


def test_one_wrong_tensor_among_many_is_found() -> None:
    class OneOff(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.normals = nn.ParameterList(nn.Parameter(nn.init.normal_(torch.empty(40, 40), std=0.1)) for _ in range(500))
            with torch.no_grad():
                self.normals[123].copy_(self.normals[17])

    (finding,) = initium.audit(OneOff, level="weights", rebuild=False).findings
    assert finding.code == "Y001"
    assert set(finding.names) == {"normals.17", "normals.123"}
