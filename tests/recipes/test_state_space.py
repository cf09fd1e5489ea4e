"""HiPPO, S4D and Mamba-2: the matrices against their definitions and their use, the recipes on modules with the sources' names."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import initium
from initium import Hippo, Ramp


def test_hippo_is_the_legendre_matrix() -> None:
    """Row 3 by hand: −√7, −√21, −√35, −4."""
    a = Hippo()(6, 6).double()
    assert a[3].tolist() == pytest.approx([-math.sqrt(7), -math.sqrt(21), -math.sqrt(35), -4, 0, 0], rel=1e-7)
    assert torch.equal(Hippo()(2, 6, 6)[1].double(), a)
    assert Hippo("B")(6).tolist() == pytest.approx([math.sqrt(2 * n + 1) for n in range(6)], rel=1e-7)
    assert torch.linalg.eigvals(a).real.sort().values.tolist() == pytest.approx([-6, -5, -4, -3, -2, -1]), "stable"
    with pytest.raises(initium.InitiumError, match="hippo's A is square"):
        Hippo()(3, 4)
    with pytest.raises(initium.InitiumError, match="knows the parts A and B, not 'b'"):
        Hippo("b")


def test_hippo_remembers_a_constant_input_in_its_first_coefficient() -> None:
    """d/dt c = (A c + B f) / t has c = (f, 0, 0, …) as its fixed point for constant f: the Legendre coefficients of a constant."""
    a, b = Hippo()(8, 8, dtype=torch.float64), Hippo("B")(8, dtype=torch.float64)
    c = torch.linalg.solve(-a, b * 3.0)
    assert c.tolist() == pytest.approx([3.0] + [0.0] * 7, abs=1e-5)


class S4DKernel(nn.Module):
    def __init__(self, h: int, n: int, trained: bool = True) -> None:
        super().__init__()
        self.C = nn.Parameter(torch.zeros(h, n // 2, 2))
        self.log_dt, self.log_A_real = nn.Parameter(torch.zeros(h)), nn.Parameter(torch.zeros(h, n // 2))
        self.A_imag = nn.Parameter(torch.zeros(h, n // 2))


class S4D(nn.Module):
    def __init__(self, h: int = 64, n: int = 64) -> None:
        super().__init__()
        self.D, self.kernel = nn.Parameter(torch.zeros(h)), S4DKernel(h, n)
        self.output_linear = nn.Sequential(nn.Conv1d(h, 2 * h, 1), nn.GLU(dim=-2))


def test_the_moments_in_a_plan_are_those_of_the_values() -> None:
    for initializer, shape in ((Hippo(), (9, 9)), (Hippo("B"), (3, 9)), (Ramp(-1.0, 0.3), (3, 9))):
        values = initializer(*shape, dtype=torch.float64)
        entry = initium.plan(Bare(*shape), initium.Recipe([initium.Rule("w", initializer)]), seed=0)["w"]
        assert entry.mean == pytest.approx(float(values.mean()), rel=1e-6)
        assert entry.std == pytest.approx(float(values.std(correction=0)), rel=1e-6)


class Bare(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(shape))


def test_s4d() -> None:
    net = S4D()
    plan = initium.initialize(net, "s4d", seed=0)
    kernel = net.kernel
    a = torch.complex(-kernel.log_A_real.exp(), kernel.A_imag).detach()
    assert torch.allclose(a[7], torch.complex(torch.full((32,), -0.5), math.pi * torch.arange(32.0)), atol=1e-5)
    steps = kernel.log_dt.detach().double().exp()
    assert float(steps.min()) >= 0.001 * (1 - 1e-6)
    assert float(steps.max()) <= 0.1 * (1 + 1e-6)
    c = torch.view_as_complex(kernel.C.detach())
    assert float(c.abs().square().mean()) == pytest.approx(1, rel=6 / math.sqrt(64 * 32)), "complex N(0, 1): E|c|² = 1"
    assert plan["D"].std == 1
    assert plan["output_linear.0.weight"].initializer.b == pytest.approx(1 / 8)
    with pytest.raises(initium.InitiumError, match="log_A_real"):
        initium.plan(nn.Linear(4, 4), "s4d", seed=0)


class Mamba2(nn.Module):
    def __init__(self, d: int = 32, heads: int = 400) -> None:
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(d, 64, bias=False), nn.Linear(64, d, bias=False)
        self.conv1d = nn.Conv1d(48, 48, 4, groups=48, padding=3)
        self.A_log, self.D, self.dt_bias = (nn.Parameter(torch.zeros(heads)) for _ in range(3))


class Mamba2Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mixer = Mamba2()


def test_mamba2_by_its_authors() -> None:
    net = nn.ModuleDict({"embedding": nn.Embedding(50, 32), "layers": nn.ModuleList([Mamba2Block() for _ in range(9)])})
    plan = initium.plan(net, initium.recipe("mamba2", official=True), seed=0)
    mixer = "layers.4.mixer"
    a = plan.values(f"{mixer}.A_log").double().exp()
    assert float(a.min()) >= 1 - 1e-6
    assert float(a.max()) <= 16 * (1 + 1e-6)
    assert float(a.mean()) == pytest.approx(8.5, abs=6 * 15 / math.sqrt(12 * 400)), "uniform, 6 σ of the mean"
    steps = torch.nn.functional.softplus(plan.values(f"{mixer}.dt_bias").double()).log10()
    assert float(steps.mean()) == pytest.approx(-2, abs=6 * 2 / math.sqrt(12 * 400)), "log-uniform from 0.001 to 0.1"
    assert plan[f"{mixer}.out_proj.weight"].initializer.b == pytest.approx(1 / 8 / 3), "/ √L, L = 9"
    assert plan[f"{mixer}.in_proj.weight"].initializer.b == pytest.approx(32**-0.5)
    assert plan[f"{mixer}.conv1d.weight"].initializer.b == plan[f"{mixer}.conv1d.bias"].initializer.b == 0.5
    assert plan["embedding.weight"].std == 0.02
    assert plan[f"{mixer}.D"].mean == 1


def test_a_ramp_that_is_not_finite_is_refused() -> None:
    with pytest.raises(initium.InitiumError, match="ramp expects finite numbers"):
        Ramp(step=math.inf)
