"""DCGAN, DiT and CleanRL: their numbers by hand, on models that have the modules and names of theirs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import initium


def test_dcgan() -> None:
    net = nn.Sequential(
        nn.ConvTranspose2d(100, 64, 4, 1, 0, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 3, 4), nn.BatchNorm2d(3)
    )
    plan = initium.plan(net, "dcgan", seed=0)
    for name in ("0.weight", "3.weight"):
        assert (plan[name].mean, plan[name].std) == (0.0, 0.02)
    assert plan["3.bias"].initializer.b == pytest.approx(1 / math.sqrt(64 * 16)), "the biases of convolutions are torch's"
    for name in ("1", "4"):
        assert (plan[f"{name}.weight"].mean, plan[f"{name}.weight"].std) == (1.0, 0.02)
        assert plan[f"{name}.bias"].mean == 0
        assert plan[f"{name}.running_var"].mean == 1


class Attention(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.num_heads = 4
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        return self.proj(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(nn.functional.gelu(self.fc1(x), approximate="tanh"))  # type: ignore[no-any-return]


class DiTBlock(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(d, elementwise_affine=False) for _ in range(2))
        self.attn, self.mlp = Attention(d), Mlp(d)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(d, 6 * d))

    def forward(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c)[:, None].chunk(6, -1)
        x = x + gate1 * self.attn(self.norm1(x) * (1 + scale1) + shift1)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)  # type: ignore[no-any-return]


class DiT(nn.Module):
    """The parts of facebookresearch/DiT that its initialize_weights speaks of."""

    def __init__(self, d: int = 32, side: int = 4, classes: int = 10) -> None:
        super().__init__()
        self.x_embedder = nn.ModuleDict({"proj": nn.Conv2d(4, d, 2, 2)})
        self.t_embedder = nn.ModuleDict({"mlp": nn.Sequential(nn.Linear(256, d), nn.SiLU(), nn.Linear(d, d))})
        self.y_embedder = nn.ModuleDict({"embedding_table": nn.Embedding(classes + 1, d)})
        self.pos_embed = nn.Parameter(torch.zeros(1, side * side, d), requires_grad=False)
        self.blocks = nn.ModuleList([DiTBlock(d) for _ in range(3)])
        self.final_layer = nn.ModuleDict(
            {"linear": nn.Linear(d, 32), "adaLN_modulation": nn.Sequential(nn.SiLU(), nn.Linear(d, 2 * d))}
        )


def test_dit() -> None:
    net = DiT()
    plan = initium.initialize(net, "dit", seed=0)
    bound = math.sqrt(6 / (32 + 96))  # qkv as one matrix, (96, 32)
    assert plan["blocks.0.attn.qkv.weight"].std == pytest.approx(bound / math.sqrt(3))
    assert plan["blocks.0.mlp.fc1.weight"].std == pytest.approx(math.sqrt(2 / 160))
    assert plan["x_embedder.proj.weight"].std == pytest.approx(math.sqrt(2 / (32 + 16))), "(out, in · field) = (32, 16)"
    assert plan["x_embedder.proj.bias"].mean == plan["blocks.0.attn.qkv.bias"].mean == 0
    for name in ("t_embedder.mlp.0.weight", "t_embedder.mlp.2.weight", "y_embedder.embedding_table.weight"):
        assert plan[name].std == 0.02
    for name in ("blocks.2.adaLN_modulation.1", "final_layer.adaLN_modulation.1", "final_layer.linear"):
        assert not net.get_submodule(name).weight.any()
        assert not net.get_submodule(name).bias.any()
    x, c = torch.randn(2, 16, 32), torch.randn(2, 32)
    for block in net.blocks:
        assert torch.equal(block(x, c), x), "every block is the identity"
    position = net.pos_embed[0, 7]  # row 1, column 3 of a grid of 4 × 4; the first half is for the column
    frequencies = 10000 ** (-torch.arange(8, dtype=torch.float64) / 8)
    expected = torch.cat([(3 * frequencies).sin(), (3 * frequencies).cos(), frequencies.sin(), frequencies.cos()])
    assert torch.allclose(position.double(), expected, atol=1e-7)


def test_dit_without_modulation_is_an_error() -> None:
    with pytest.raises(initium.InitiumError, match="adaLN_modulation"):
        initium.plan(nn.Linear(4, 4), "dit", seed=0)


class Agent(nn.Module):
    """cleanrl/ppo_continuous_action.py."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
        self.actor_mean = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
        self.actor_logstd = nn.Parameter(torch.ones(1, 2))


class Atari(nn.Module):
    """cleanrl/ppo_atari.py, smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(4, 8, 8, 4), nn.ReLU(), nn.Flatten(), nn.Linear(32, 64), nn.ReLU())
        self.actor, self.critic = nn.Linear(64, 6), nn.Linear(64, 1)


def singular(weight: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(weight.detach().flatten(1).double())


def test_cleanrl_continuous() -> None:
    agent = Agent()
    initium.initialize(agent, "cleanrl", seed=0)
    for net, last in ((agent.critic, 1.0), (agent.actor_mean, 0.01)):
        for index, gain in ((0, math.sqrt(2)), (2, math.sqrt(2)), (4, last)):
            assert torch.allclose(singular(net[index].weight), torch.tensor(gain, dtype=torch.float64), rtol=1e-5)
            assert not net[index].bias.any()
    assert not agent.actor_logstd.any()


def test_cleanrl_atari() -> None:
    agent = Atari()
    initium.initialize(agent, "cleanrl", seed=0)
    gains = [(agent.network[0], math.sqrt(2)), (agent.network[3], math.sqrt(2)), (agent.actor, 0.01), (agent.critic, 1.0)]
    for layer, gain in gains:
        assert torch.allclose(singular(layer.weight), torch.tensor(gain, dtype=torch.float64), rtol=1e-5)
