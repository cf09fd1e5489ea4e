"""GANs, DiT, CleanRL and Stable-Baselines3: their numbers by hand, on models that have the modules and names of theirs."""

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


def test_stable_baselines3() -> None:
    """common/policies.py: √2 on features and hidden layers, 0.01 and 1 on the two heads."""

    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features_extractor = nn.Sequential(nn.Conv2d(4, 8, 8, 4), nn.ReLU(), nn.Flatten(), nn.Linear(32, 16))
            self.mlp_extractor = nn.ModuleDict({"policy_net": nn.Linear(16, 16), "value_net": nn.Linear(16, 16)})
            self.action_net, self.value_net = nn.Linear(16, 6), nn.Linear(16, 1)
            self.log_std = nn.Parameter(torch.ones(6))

    policy = Policy()
    initium.initialize(policy, initium.recipe("sb3", log_std=-2.0), seed=0)
    gains = [(policy.features_extractor[0], math.sqrt(2)), (policy.features_extractor[3], math.sqrt(2))]
    gains += [(layer, math.sqrt(2)) for layer in policy.mlp_extractor.values()]
    gains += [(policy.action_net, 0.01), (policy.value_net, 1.0)]
    for layer, gain in gains:
        assert torch.allclose(singular(layer.weight), torch.tensor(gain, dtype=torch.float64), rtol=1e-5)
        assert not layer.bias.any()
    assert torch.equal(policy.log_std, torch.full((6,), -2.0))


@pytest.mark.parametrize(
    ("kind", "std"), [("normal", 0.02), ("xavier", 0.02 * math.sqrt(2 / (72 + 144))), ("kaiming", math.sqrt(2 / 72))]
)
def test_cyclegan(kind: str, std: float) -> None:
    net = nn.Sequential(
        nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.InstanceNorm2d(16, affine=True), nn.ConvTranspose2d(16, 8, 3)
    )
    plan = initium.plan(net, initium.recipe("cyclegan", kind=kind), seed=0)
    assert plan["0.weight"].std == pytest.approx(std)
    assert plan["0.bias"].mean == plan["3.bias"].mean == plan["1.bias"].mean == 0
    assert (plan["1.weight"].mean, plan["1.weight"].std) == (1.0, 0.02)
    assert (plan["2.weight"].mean, plan["2.weight"].std) == (1.0, 0.0), "instance norms are not BatchNorm2d"
    with pytest.raises(initium.InitiumError, match="kind 'orthgonal' not supported. Did you mean 'orthogonal'"):
        initium.recipe("cyclegan", kind="orthgonal")


class FullyConnectedLayer(nn.Module):
    """StyleGAN2's, which scales its weight as it runs."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(outputs, inputs)), nn.Parameter(torch.zeros(outputs))
        self.gain, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ (self.weight * self.gain).T + self.bias * self.rate


class SynthesisLayer(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.affine, self.weight = FullyConnectedLayer(width, channels), nn.Parameter(torch.zeros(channels, channels, 3, 3))
        self.register_buffer("noise_const", torch.zeros(4, 4))
        self.noise_strength, self.bias = nn.Parameter(torch.ones([])), nn.Parameter(torch.ones(channels))


def test_stylegan2() -> None:
    mapping = nn.ModuleDict({f"fc{i}": FullyConnectedLayer(512, 512, 0.01) for i in range(2)})
    mapping.register_buffer("w_avg", torch.ones(512))
    net = nn.ModuleDict({"mapping": mapping, "b4": nn.ModuleDict({"conv1": SynthesisLayer(16, 512)})})
    net["b4"].const = nn.Parameter(torch.zeros(16, 4, 4))
    plan = initium.initialize(net, "stylegan2", seed=0)
    assert plan["mapping.fc1.weight"].std == 100.0, "1 / lr_multiplier, used times it"
    for name in ("b4.conv1.weight", "b4.conv1.affine.weight", "b4.const", "b4.conv1.noise_const"):
        assert (plan[name].mean, plan[name].std) == (0.0, 1.0), name
    assert plan["b4.conv1.affine.bias"].mean == 1
    assert plan["b4.conv1.noise_strength"].mean == plan["b4.conv1.bias"].mean == plan["mapping.fc0.bias"].mean == 0
    assert plan["mapping.w_avg"].mean == 0
    x = torch.randn(512, 512)
    with torch.no_grad():
        out = mapping["fc1"](mapping["fc0"](x))
    assert float(out.std()) == pytest.approx(1, rel=0.05), "equalised: the runtime scale brings every layer back to variance 1"
