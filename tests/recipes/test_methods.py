"""Recipes that are methods: their numbers from the papers, on small networks; worked out here, not read from the code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import initium
from initium import recipe


class Residual(nn.Module):
    """x + c(b(a(x))), with or without norms, and with Fixup's scalars where asked."""

    def __init__(self, width: int = 32, maps: int = 2, norm: bool = False, scalars: bool = False, conv: bool = False) -> None:
        super().__init__()
        self.maps = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) if conv else nn.Linear(width, width) for _ in range(maps)
        )
        self.norms = nn.ModuleList((nn.BatchNorm2d if conv else nn.BatchNorm1d)(width) for _ in range(maps)) if norm else None
        if scalars:
            self.bias1, self.bias2 = (nn.Parameter(torch.ones(1)) for _ in range(2))
            self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for i in range(len(self.maps)):
            y = self.maps[i](y.relu())
            if self.norms is not None:
                y = self.norms[i](y)
        return x + y


def stack(depth: int, **knobs: object) -> nn.Sequential:
    return nn.Sequential(*(Residual(**knobs) for _ in range(depth)), nn.Linear(32, 10))  # type: ignore[arg-type]


def encoder(depth: int, width: int = 64) -> nn.TransformerEncoder:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(width, 4, 4 * width), depth, enable_nested_tensor=False)


def gained(plan: initium.Plan, name: str, gain: float, fans: tuple[int, int]) -> None:
    """Xavier's std with a gain."""
    assert plan[name].std == pytest.approx(gain * math.sqrt(2 / sum(fans)), rel=1e-6), name


# --- residual networks


@pytest.mark.parametrize(("depth", "maps", "factor"), [(16, 2, 0.25), (16, 3, 0.5), (81, 3, 1 / 3), (10, 4, 10 ** (-1 / 6))])
def test_fixup_scales_by_the_number_of_branches_and_of_maps_in_one(depth: int, maps: int, factor: float) -> None:
    plan = initium.plan(stack(depth, maps=maps, scalars=True), "fixup", seed=0)
    he = math.sqrt(2 / 32)
    for i in range(maps - 1):
        assert plan[f"0.maps.{i}.weight"].std == pytest.approx(he * factor), "L^(−1 / (2m − 2))"
    assert plan[f"{depth - 1}.maps.{maps - 1}.weight"].mean == plan[f"{depth}.weight"].mean == plan[f"{depth}.bias"].mean == 0
    assert plan[f"{depth - 1}.maps.{maps - 1}.weight"].kind == plan[f"{depth}.weight"].kind == "constant"
    assert (plan["3.bias1"].mean, plan["3.bias2"].mean, plan["3.scale"].mean) == (0, 0, 1)


@pytest.mark.parametrize(("maps", "factor"), [(2, 0.01), (3, 0.1)])
def test_fixup_at_ten_thousand_blocks(maps: int, factor: float) -> None:
    """METHODS: L = 10⁴ gives × 0.01 with two maps in a branch, × 0.1 with three; the numbers of the rule itself, without the 10⁴ blocks."""
    rule = next(rule for rule in recipe("fixup").rules if "branch" in rule.role)
    bound = rule.initializer.bound({"fan_out": 32.0, "groups": 1.0, "branches": 10_000.0, "branch": float(maps)})  # type: ignore[union-attr]
    assert bound.std == pytest.approx(math.sqrt(2 / 32) * factor)  # type: ignore[attr-defined]


def test_fixup_counts_the_fan_out_of_convolutions_and_starts_at_log_k() -> None:
    net = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), *(Residual(conv=True, scalars=True) for _ in range(8)))
    net = nn.Sequential(net, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    plan = initium.initialize(net, "fixup", seed=0)
    assert plan["0.0.weight"].std == pytest.approx(math.sqrt(2 / (9 * 32)))
    assert plan["0.1.maps.0.weight"].std == pytest.approx(math.sqrt(2 / (9 * 32)) * 8**-0.5)
    x = torch.randn(4, 3, 8, 8)
    assert torch.equal(net[0][0](x), net[0](x)), "each branch adds 0"
    assert nn.functional.cross_entropy(net(x), torch.tensor([0, 1, 2, 3])).item() == pytest.approx(math.log(10), rel=1e-6)


def test_zero_gamma_is_that_of_the_last_norm_alone() -> None:
    plan = initium.plan(stack(3, norm=True), "bn-zero-gamma", seed=0)
    assert [plan[f"{b}.norms.{i}.weight"].mean for b in range(3) for i in range(2)] == [1, 0] * 3
    with pytest.raises(initium.InitiumError, match="residual_norm"):
        initium.plan(stack(3), "bn-zero-gamma", seed=0)


@pytest.mark.parametrize("name", ["rezero", "skipinit"])
def test_networks_with_scalars_start_as_the_identity(name: str) -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.alpha = nn.Linear(8, 8), nn.Parameter(torch.ones(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.alpha * self.linear(x).relu()

    net = nn.Sequential(*(Layer() for _ in range(50)))
    initium.initialize(net, name, seed=0)
    x = torch.randn(3, 8)
    assert torch.equal(net(x), x)
    said = initium.plan(net, recipe(name, value=50**-0.5), seed=0)
    assert said["7.alpha"].mean == pytest.approx(0.14142135623730953)
    with pytest.raises(initium.InitiumError, match="match nothing"):
        initium.plan(nn.Sequential(nn.Linear(4, 4)), name, seed=0)


def test_layerscale() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.norm, self.ls1 = nn.Linear(8, 8), nn.LayerNorm(8), nn.Module()
            self.ls1.gamma = nn.Parameter(torch.ones(8))

    plan = initium.plan(nn.Sequential(Block(), Block()), recipe("layerscale", value=1e-5), seed=0)
    assert plan["1.ls1.gamma"].mean == 1e-5
    assert plan["1.norm.weight"].mean == 1
    assert plan["1.fc.weight"].initializer.b == pytest.approx(8**-0.5), "the base is torch's"


def test_zero_keeps_norms_where_it_widens_to_a_power_of_two() -> None:
    net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
    initium.initialize(net, "zero", seed=0)
    x = torch.randn(7, 5)
    assert torch.allclose(net[0](x).norm(dim=1), x.norm(dim=1), rtol=1e-6)
    assert torch.equal(net[2].weight, torch.eye(16))
    assert not net[4].weight.any()
    other = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
    initium.initialize(other, "zero", seed=99)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True)), "nothing is random"


# --- transformers


def test_deepnorm_at_a_hundred_layers() -> None:
    """N = 100: β = 800^−¼ = .188030, α = 200^¼ = 3.760603."""
    plan = initium.plan(encoder(100, 16), "deepnorm", seed=0)
    for name in ("linear1", "linear2", "self_attn.out_proj"):
        shape = plan[f"layers.42.{name}.weight"].shape
        gained(plan, f"layers.42.{name}.weight", 0.188030, shape)
    q, _, v = plan.values("layers.42.self_attn.in_proj_weight").double().chunk(3)
    assert float(v.std() / q.std()) == pytest.approx(0.188030, rel=0.25), "256 numbers: 6 σ is 0.37 of it"
    parts = plan["layers.42.self_attn.in_proj_weight"].program.parts
    assert [size for size, _ in parts] == [32, 16], "q and k share a law"
    assert [part.std for _, part in parts] == pytest.approx([math.sqrt(2 / 32), 0.188030 * math.sqrt(2 / 32)], rel=1e-5)


def test_deepnorm_of_an_encoder_and_a_decoder() -> None:
    net = nn.Transformer(32, 4, 6, 4, 64, batch_first=True)
    plan = initium.plan(net, recipe("deepnorm", kind="encoder-decoder"), seed=0)
    gained(plan, "encoder.layers.0.linear1.weight", 0.87 * (6**4 * 4) ** (-1 / 16), (32, 64))
    gained(plan, "decoder.layers.0.linear1.weight", (12 * 4) ** -0.25, (32, 64))
    gained(plan, "decoder.layers.3.multihead_attn.out_proj.weight", (12 * 4) ** -0.25, (32, 32))


def test_subln_of_one_stack_and_of_two() -> None:
    """N = 8: √ln 16 = 1.665109. N = 6, M = 4: encoder √(ln 12 · ln 12 / 3) = 1.434662, decoder √ln 12 = 1.576359; cross attention 1."""
    plan = initium.plan(encoder(8), "subln", seed=0)
    for name in ("linear1", "linear2", "self_attn.out_proj"):
        gained(plan, f"layers.5.{name}.weight", 1.665109, plan[f"layers.5.{name}.weight"].shape)
    stds = [part.std for _, part in plan["layers.0.self_attn.in_proj_weight"].program.parts]
    assert stds == pytest.approx([math.sqrt(2 / 128), 1.665109 * math.sqrt(2 / 128)], rel=1e-6), "q and k, then v"
    net = nn.Transformer(32, 4, 6, 4, 64, batch_first=True)
    both = initium.plan(net, recipe("subln", kind="encoder-decoder"), seed=0)
    gained(both, "encoder.layers.0.linear1.weight", 1.434662, (32, 64))
    gained(both, "decoder.layers.0.linear1.weight", 1.576359, (32, 64))
    gained(both, "decoder.layers.3.multihead_attn.out_proj.weight", 1.0, (32, 32))


def test_t_fixup_at_six_layers() -> None:
    """N = M = 6: .67 · 6^−¼ = .428092, 54^−¼ = .368894."""
    net = nn.ModuleDict({"embed": nn.Embedding(50, 32), "net": nn.Transformer(32, 4, 6, 6, 64, batch_first=True)})
    plan = initium.plan(net, "t-fixup", seed=0)
    gained(plan, "net.encoder.layers.5.linear2.weight", 0.428092, (32, 64))
    gained(plan, "net.decoder.layers.5.linear2.weight", 0.368894, (32, 64))
    gained(plan, "net.decoder.layers.0.multihead_attn.out_proj.weight", 0.368894, (32, 32))
    stds = [part.std for _, part in plan["net.encoder.layers.0.self_attn.in_proj_weight"].program.parts]
    xavier = math.sqrt(2 / 64)
    assert stds == pytest.approx([xavier, 0.428092 * xavier], rel=1e-5), "q and k together, v by itself"
    assert plan["embed.weight"].std == pytest.approx(32**-0.5 * 54**-0.25)


def test_small_wang_and_the_scales_by_depth() -> None:
    net = nn.ModuleDict({"wte": nn.Embedding(50, 64), "body": encoder(12)})
    small, wang = initium.plan(net, "small", seed=0), initium.plan(net, "wang", seed=0)
    assert small["wte.weight"].std == small["body.layers.3.linear2.weight"].std == pytest.approx(math.sqrt(2 / 320))
    assert wang["body.layers.3.linear2.weight"].std == pytest.approx(2 / (12 * 8))
    assert wang["body.layers.3.linear1.weight"].std == pytest.approx(math.sqrt(2 / 320))
    said = initium.plan(net, recipe("wang", width=768, depth=12), seed=0)
    assert [said[f"body.layers.0.linear{i}.weight"].std for i in (1, 2)] == pytest.approx([0.022822, 0.006014], abs=5e-7)
    gpt2, scaled = initium.plan(net, "gpt2-residual", seed=0), initium.plan(net, "depth-scaled", seed=0)
    for layer in range(12):
        for end in ("linear2", "self_attn.out_proj"):
            name = f"body.layers.{layer}.{end}.weight"
            assert gpt2[name].std == pytest.approx(0.02 / math.sqrt(24))
            assert scaled[name].std == pytest.approx(0.02 / math.sqrt(2 * (layer + 1))), "l + 1, and not L"
    assert gpt2["wte.weight"].std == scaled["wte.weight"].std == 0.02


@pytest.mark.parametrize(("official", "power"), [(False, 0.5), (True, 0.25)])
def test_ds_init_shrinks_with_the_layer_by_the_paper_s_root_and_the_code_s_fourth_root(official: bool, power: float) -> None:
    net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 9, enable_nested_tensor=False)
    plan = initium.plan(net, initium.recipe("ds-init", official=official), seed=0)
    for layer in (0, 3, 8):
        for name, fans in (("linear1", 320), ("linear2", 320), ("self_attn.out_proj", 128)):
            bound = math.sqrt(6 / fans) / (layer + 1) ** power
            assert plan[f"layers.{layer}.{name}.weight"].std == pytest.approx(bound / math.sqrt(3), rel=1e-9)
        packed = plan.values(f"layers.{layer}.self_attn.in_proj_weight")
        assert float(packed.abs().max()) == pytest.approx(math.sqrt(6 / 128) / (layer + 1) ** power, rel=0.01), (
            "q, k, v each by itself"
        )
    half = initium.plan(net, initium.recipe("ds-init", alpha=0.5), seed=0)["layers.3.linear1.weight"].std
    assert half == pytest.approx(0.25 * math.sqrt(2 / 320))
    with pytest.raises(initium.InitiumError, match="ds-init expects 0 < alpha <= 1, got alpha=2"):
        initium.recipe("ds-init", alpha=2)


# --- recurrent networks


def test_forget_bias_is_one_in_the_sum_of_the_two_biases() -> None:
    net = nn.ModuleDict({"rnn": nn.LSTM(4, 16, 2, bidirectional=True), "out": nn.Linear(32, 2)})
    initium.initialize(net, "forget-bias", seed=0)
    lstm = net["rnn"]
    for end in ("l0", "l1", "l0_reverse", "l1_reverse"):
        i, f, g, o = (getattr(lstm, f"bias_ih_{end}") + getattr(lstm, f"bias_hh_{end}")).chunk(4)
        assert torch.equal(f, torch.ones(16)), "not 2"
        assert not torch.stack([i, g, o]).any()
        for gate in getattr(lstm, f"weight_hh_{end}").detach().chunk(4):
            assert torch.allclose(gate @ gate.T, torch.eye(16), atol=1e-5), "each gate orthogonal by itself"
    with pytest.raises(initium.InitiumError, match="match nothing"):
        initium.plan(nn.GRU(4, 4), "forget-bias", seed=0)


def test_chrono_spreads_memories_up_to_t_max() -> None:
    lstm, gru = nn.LSTM(4, 400), nn.GRU(4, 400)
    for net in (lstm, gru):
        initium.initialize(net, recipe("chrono", t_max=500), seed=0)
    i, f, g, o = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().chunk(4)
    steps = f.double().exp()
    assert torch.equal(i, -f)
    assert not torch.cat([g, o]).any()
    assert float(steps.min()) >= 1
    assert float(steps.max()) <= 499
    assert float(steps.mean()) == pytest.approx(250, abs=6 * 144 / 20), "6 σ of the mean of 400 uniform numbers"
    r, z, n = (gru.bias_ih_l0 + gru.bias_hh_l0).detach().chunk(3)
    assert float(z.min()) >= 0, "torch's z keeps, so its sign is the forget gate's"
    assert not torch.cat([r, n]).any()


def test_irnn_is_the_identity_with_both_biases_zero() -> None:
    net = nn.RNN(3, 8, nonlinearity="relu")
    plan = initium.initialize(net, "irnn", seed=0)
    assert torch.equal(net.weight_hh_l0, torch.eye(8))
    assert not net.bias_ih_l0.any()
    assert not net.bias_hh_l0.any()
    assert plan["weight_ih_l0"].std == 0.001
    x, h = torch.zeros(20, 1, 3), torch.rand(1, 1, 8)
    assert torch.equal(net(x, h)[1], h), "it remembers for ever"
    with pytest.raises(initium.InitiumError, match="match nothing"):
        initium.plan(nn.LSTM(3, 8), "irnn", seed=0)


# --- attention


class SeparateAttention(nn.Module):
    def __init__(self, d: int = 48, heads: int = 4) -> None:
        super().__init__()
        self.num_heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(d, d) for _ in range(4))


@pytest.mark.parametrize("packed", [False, True])
def test_mimetic_attention_multiplies_to_what_the_paper_says(packed: bool) -> None:
    """W_vᵀ W_oᵀ + .4 I = .4 Z exactly, with Z in U(±√(3 / d)); of each head .7 Z + .7 I is approximated as well as rank h can."""
    d, heads = 48, 4
    net = nn.ModuleList([nn.MultiheadAttention(d, heads) if packed else SeparateAttention() for _ in range(2)])
    initium.initialize(net, "mimetic", seed=0)
    products = []
    for attention in net:
        if packed:
            q, k, v = attention.in_proj_weight.detach().double().chunk(3)
        else:
            q, k, v = (getattr(attention, f"{name}_proj").weight.detach().double() for name in "qkv")
        z = (v.T @ attention.out_proj.weight.detach().double().T + 0.4 * torch.eye(d)) / 0.4
        assert float(z.abs().max()) <= math.sqrt(3 / d) * (1 + 1e-5)
        assert float(z.std()) * math.sqrt(d) == pytest.approx(1, rel=6 / d), "a std of 1 / √d: 6 σ is .06"
        products.append(z)
        for head in range(heads):
            rows = slice(head * d // heads, (head + 1) * d // heads)
            product = q[rows].T @ k[rows]
            singular = torch.linalg.svdvals(product)
            assert int((singular > 1e-6).sum()) == d // heads
            assert 0.7 < float(singular[0]) < 0.7 + 0.7 * 2.2, "the largest of .7 Z + .7 I"
    assert not torch.allclose(products[0], products[1], atol=0.01), "each attention has a stream of its own"


def test_mimetic_refuses_grouped_queries_in_a_sentence() -> None:
    attention = SeparateAttention()
    attention.k_proj = nn.Linear(48, 24)
    with pytest.raises(initium.InitiumError, match=r"k_proj\.weight: mimetic is for \(d, d\) weights"):
        initium.plan(nn.ModuleList([attention]), "mimetic", seed=0)
