"""Code bases that cannot be installed here: their numbers by hand, on models that have the modules and names of theirs."""

from __future__ import annotations

import math

import pytest
import torch
from shapes import FF, THREE, VOCAB, D, FeedForward, L
from torch import nn

import initium


def block(**children: nn.Module) -> type[nn.Module]:
    """A class whose instances hold copies of these children, as a block does."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, child in children.items():
                setattr(self, name, child)

    return Block


class CausalSelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(D, 3 * D), nn.Linear(D, D)


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = nn.LayerNorm(D), CausalSelfAttention(), nn.LayerNorm(D), MLP()


class GPT(nn.Module):
    """nanoGPT's model.py."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(VOCAB, D),
                "wpe": nn.Embedding(16, D),
                "h": nn.ModuleList([Block() for _ in range(L)]),
                "ln_f": nn.LayerNorm(D),
            }
        )
        self.lm_head = nn.Linear(D, VOCAB, bias=False)
        self.transformer.wte.weight = self.lm_head.weight


def test_nanogpt() -> None:
    plan = initium.plan(GPT(), "nanogpt", seed=0)
    for layer in range(L):
        h = f"transformer.h.{layer}"
        for end in ("attn.c_proj", "mlp.c_proj"):
            assert plan[f"{h}.{end}.weight"].std == pytest.approx(0.02 / math.sqrt(2 * L), rel=1e-12)
            assert plan[f"{h}.{end}.bias"].mean == 0
        assert plan[f"{h}.attn.c_attn.weight"].std == plan[f"{h}.mlp.c_fc.weight"].std == 0.02
        assert plan[f"{h}.ln_1.weight"].mean == 1
    assert plan["transformer.wte.weight"].std == plan["transformer.wpe.weight"].std == 0.02
    assert plan["lm_head.weight"].tied_to == "transformer.wte.weight"
    deeper = initium.plan(GPT(), initium.recipe("nanogpt", depth=48), seed=0)
    assert deeper["transformer.h.0.mlp.c_proj.weight"].std == pytest.approx(0.02 / math.sqrt(96))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wq, self.wk, self.wv, self.wo = nn.Linear(D, D), nn.Linear(D, D // 2), nn.Linear(D, D // 2), nn.Linear(D, D)


class TransformerBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.feed_forward = Attention(), FeedForward()
        self.attention_norm, self.ffn_norm = nn.RMSNorm(D), nn.RMSNorm(D)


class Transformer(nn.Module):
    """torchtitan's llama3: layers in a ModuleDict."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(VOCAB, D)
        self.layers = nn.ModuleDict({str(i): TransformerBlock() for i in range(L)})
        self.norm, self.output = nn.RMSNorm(D), nn.Linear(D, VOCAB, bias=False)


def test_torchtitan_llama3() -> None:
    plan = initium.plan(Transformer(), "torchtitan-llama3", seed=0)
    assert plan["tok_embeddings.weight"].std == 1
    for layer in range(L):
        scaled = 0.02 / math.sqrt(2 * (layer + 1))
        for name in ("attention.wo", "feed_forward.w2", "feed_forward.w3"):
            assert plan[f"layers.{layer}.{name}.weight"].std == pytest.approx(scaled, rel=1e-9), "w2 and w3 both, l + 1"
        for name in ("attention.wq", "attention.wk", "attention.wv", "feed_forward.w1"):
            assert plan[f"layers.{layer}.{name}.weight"].std == pytest.approx(0.02, rel=1e-9)
    head = plan["output.weight"].program
    assert plan["output.weight"].std == pytest.approx(THREE / math.sqrt(D), rel=1e-9)
    assert (head.low, head.high) == pytest.approx((-3 / math.sqrt(D), 3 / math.sqrt(D)), rel=1e-6)
    assert plan["layers.0.attention_norm.weight"].mean == plan["norm.weight"].mean == 1


def test_torchtitan_qwen3_scales_its_ends_only_beside_experts() -> None:
    """0.3.0, models/qwen3/__init__.py: _build_qwen3_layers has _LINEAR_INIT everywhere, _build_qwen3_moe_layers output_init at wo and w2."""
    plan = initium.plan(Transformer(), "torchtitan-qwen3", seed=0)
    assert {entry.std for _, entry in plan.items() if entry.kind == "drawn"} == {0.02}
    net = nn.ModuleDict(
        {"layers": nn.ModuleDict({str(i): TransformerMoEBlock() for i in range(L)}), "output": nn.Linear(D, VOCAB)}
    )
    plan = initium.plan(net, initium.recipe("torchtitan-qwen3", mixture=True), seed=0)
    ends = {name for name, entry in plan.items() if entry.std == pytest.approx(0.02 / math.sqrt(2 * L))}
    owners = ("attention.wo.weight", "moe.experts.w2", "moe.shared_experts.w2.weight")
    assert ends == {f"layers.{i}.{name}" for i in range(L) for name in owners}
    assert (
        plan["layers.0.moe.router.gate.weight"].std == plan["layers.2.moe.experts.w3"].std == plan["output.weight"].std == 0.02
    )


class ParallelAttention(nn.Module):
    """Megatron's names."""

    def __init__(self) -> None:
        super().__init__()
        self.query_key_value, self.dense = nn.Linear(D, 3 * D), nn.Linear(D, D)


class ParallelMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense_h_to_4h, self.dense_4h_to_h = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)


class ParallelTransformerLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attention, self.mlp, self.norm = ParallelAttention(), ParallelMLP(), nn.LayerNorm(D)


class SelfAttention(nn.Module):
    """Megatron-core's names."""

    def __init__(self) -> None:
        super().__init__()
        self.linear_qkv, self.linear_proj = nn.Linear(D, 3 * D), nn.Linear(D, D)


class CoreMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear_fc1, self.linear_fc2 = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)


class TransformerLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attention, self.mlp = SelfAttention(), CoreMLP()


@pytest.mark.parametrize(
    ("layer", "ends", "others"),
    [
        (
            ParallelTransformerLayer,
            ("self_attention.dense", "mlp.dense_4h_to_h"),
            ("self_attention.query_key_value", "mlp.dense_h_to_4h"),
        ),
        (TransformerLayer, ("self_attention.linear_proj", "mlp.linear_fc2"), ("self_attention.linear_qkv", "mlp.linear_fc1")),
    ],
)
def test_megatron(layer: type[nn.Module], ends: tuple[str, ...], others: tuple[str, ...]) -> None:
    net = nn.ModuleDict({"embedding": nn.Embedding(VOCAB, D), "layers": nn.ModuleList([layer() for _ in range(L)])})
    plan = initium.plan(net, initium.recipe("megatron", std=0.01, embedding_std=0.5), seed=0)
    assert plan["embedding.weight"].std == 0.5
    for i in range(L):
        for name in ends:
            assert plan[f"layers.{i}.{name}.weight"].std == pytest.approx(0.01 / math.sqrt(2 * L))
        for name in others:
            assert plan[f"layers.{i}.{name}.weight"].std == 0.01
            assert plan[f"layers.{i}.{name}.bias"].mean == 0


class OLMoSequentialBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.att_proj, self.attn_out = nn.Linear(D, 3 * D, bias=False), nn.Linear(D, D, bias=False)
        self.ff_proj, self.ff_out = nn.Linear(D, 2 * FF, bias=False), nn.Linear(FF, D, bias=False)


class OLMo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(VOCAB, D),
                "blocks": nn.ModuleList([OLMoSequentialBlock() for _ in range(L)]),
                "ff_out": nn.Linear(D, VOCAB, bias=False),
            }
        )


def test_olmo_mitchell() -> None:
    plan = initium.plan(OLMo(), "olmo-mitchell", seed=0)
    for layer in range(L):
        h = f"transformer.blocks.{layer}"
        assert plan[f"{h}.attn_out.weight"].std == pytest.approx(THREE / math.sqrt(2 * D * (layer + 1)), rel=1e-9)
        assert plan[f"{h}.ff_out.weight"].std == pytest.approx(THREE / math.sqrt(2 * FF * (layer + 1)), rel=1e-9)
        for name in ("att_proj", "ff_proj"):
            assert plan[f"{h}.{name}.weight"].std == pytest.approx(THREE / math.sqrt(D), rel=1e-9)
    for name in ("wte", "ff_out"):
        assert plan[f"transformer.{name}.weight"].std == pytest.approx(THREE / math.sqrt(D), rel=1e-9)
    said = initium.plan(OLMo(), initium.recipe("olmo-mitchell", embedding_std=1.0), seed=0)
    assert said["transformer.wte.weight"].std == pytest.approx(THREE)


def test_olmo_normal() -> None:
    for cutoff, factor in ((False, 1.0), (True, THREE)):
        plan = initium.plan(OLMo(), initium.recipe("olmo-normal", cutoff=cutoff), seed=0)
        assert all(entry.std == pytest.approx(0.02 * factor, rel=1e-9) for entry in plan.values()), "no scaling by depth"


def test_a_block_that_nobody_can_read_is_an_error_which_says_what_to_do() -> None:
    odd = nn.Sequential(*(block(first=nn.Linear(D, D), second=nn.Linear(D, D))() for _ in range(L)))
    for name in ("nanogpt", "megatron", "olmo-mitchell", "torchtitan-llama3", "gpt2"):
        with pytest.raises(initium.InitiumError, match="roles="):
            initium.plan(odd, name, seed=0)
    told = initium.recipe("megatron", depth=L)
    told = initium.Recipe(told.rules, knobs=dict(told.knobs), roles={"*.second.weight": "residual_out"})
    plan = initium.plan(odd, told, seed=0)
    assert plan["2.second.weight"].std == pytest.approx(0.02 / math.sqrt(2 * L))
    assert plan["2.first.weight"].std == 0.02


class Router(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(D, 4, bias=False)


class GroupedExperts(nn.Module):
    """torchtitan's: (experts, out, in), as it has them by ``w1``, ``w2``, ``w3``."""

    def __init__(self) -> None:
        super().__init__()
        self.w1, self.w3 = (nn.Parameter(torch.zeros(4, FF, D)) for _ in range(2))
        self.w2 = nn.Parameter(torch.zeros(4, D, FF))


class MoE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts, self.router, self.shared_experts = GroupedExperts(), TokenChoiceTopKRouter(), FeedForward()


class TokenChoiceTopKRouter(Router):
    pass


class MoEBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.moe = Attention(), MoE()


def test_torchtitan_s_experts_have_the_law_of_the_dense_net_each() -> None:
    """models/deepseek_v3: _depth_experts_init has w1 at 0.02 and w2, w3 scaled; the router's gate is scaled."""
    net = nn.ModuleDict({"layers": nn.ModuleDict({str(i): TransformerMoEBlock() for i in range(L)})})
    plan = initium.plan(net, "torchtitan-llama3", seed=0)
    scaled = 0.02 / math.sqrt(2 * L)  # the last layer: l + 1 = L
    moe = f"layers.{L - 1}.moe"
    for name in ("experts.w2", "experts.w3", "router.gate.weight", "shared_experts.w2.weight", "shared_experts.w3.weight"):
        assert plan[f"{moe}.{name}"].std == pytest.approx(scaled, rel=1e-9), name
    for name in ("experts.w1", "shared_experts.w1.weight"):
        assert plan[f"{moe}.{name}"].std == pytest.approx(0.02, rel=1e-9), name
    he = initium.plan(net, "he", seed=0)
    assert [(he[f"{moe}.experts.{w}"].fan_in, he[f"{moe}.experts.{w}"].fan_out) for w in ("w1", "w2", "w3")] == [
        (D, FF),
        (FF, D),
        (D, FF),
    ]


@pytest.mark.parametrize("suffixes", [("", "", ""), ("_EFD", "_EDF", "_EFD")])
def test_experts_whose_names_tell_their_axes_are_the_same(suffixes: tuple[str, str, str]) -> None:
    experts = type("GroupedExperts", (nn.Module,), {})()
    for name, suffix, shape in zip(("w1", "w2", "w3"), suffixes, ((4, FF, D), (4, D, FF), (4, FF, D)), strict=True):
        experts.register_parameter(name + suffix, nn.Parameter(torch.zeros(shape)))
    net = nn.ModuleList([type("Block", (nn.Module,), {})()])
    net[0].experts, net[0].attention = experts, Attention()
    plan = initium.plan(net, "torchtitan-llama3", seed=0)
    assert [entry.std for name, entry in plan.items() if "experts" in name] == pytest.approx(
        [0.02, 0.02 / 2**0.5, 0.02 / 2**0.5]
    )


class TransformerMoEBlock(MoEBlock):
    pass


class NanoAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_q, self.c_k, self.c_v, self.c_proj = (nn.Linear(D, D, bias=False) for _ in range(4))
        self.ve_gate = nn.Linear(32, 4, bias=False)


class NanoBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn, self.mlp = NanoCausalSelfAttention(), MLP()


class NanoCausalSelfAttention(NanoAttention):
    pass


def test_nanochat() -> None:
    net = nn.ModuleDict({"wte": nn.Embedding(VOCAB, D), "h": nn.ModuleList([NanoBlock() for _ in range(L)])})
    net["value_embeds"] = nn.ModuleDict({"1": nn.Embedding(VOCAB, D)})
    net["lm_head"] = nn.Linear(D, VOCAB, bias=False)
    net.resid_lambdas, net.x0_lambdas = nn.Parameter(torch.zeros(L)), nn.Parameter(torch.zeros(L))
    net.backout_lambda = nn.Parameter(torch.zeros(1))
    plan = initium.plan(net, "nanochat", seed=0)
    root = 1 / math.sqrt(D)
    for name in ("attn.c_q", "attn.c_k", "attn.c_v"):
        assert plan[f"h.2.{name}.weight"].std == pytest.approx(root)
        assert plan[f"h.2.{name}.weight"].program.high == pytest.approx(math.sqrt(3) * root), "uniform, so no outliers"
    assert plan["h.2.mlp.c_fc.weight"].std == pytest.approx(0.4 * root)
    assert plan["h.2.mlp.c_proj.weight"].std == plan["h.2.attn.c_proj.weight"].std == 0
    assert plan["h.2.attn.ve_gate.weight"].program.high == 0.02
    assert plan["wte.weight"].std == 0.8
    assert plan["lm_head.weight"].std == 0.001
    assert plan["value_embeds.1.weight"].std == pytest.approx(root)
    assert plan.values("resid_lambdas").tolist() == pytest.approx([1.15, 1.15 - 0.1 / 3, 1.15 - 0.2 / 3, 1.05])
    assert plan.values("x0_lambdas").tolist() == pytest.approx([0.2, 0.15, 0.1, 0.05])
    assert plan["backout_lambda"].mean == 0.2


def test_mpt() -> None:
    """kaiming_normal_(a=0) of each: √(2 / fan_in); fused Wqkv by parts; the table's fan_in is its width, d."""
    net = nn.ModuleDict({"wte": nn.Embedding(VOCAB, D), "blocks": nn.ModuleList([Block() for _ in range(L)])})
    plan = initium.plan(net, "mpt", seed=0)
    assert plan["blocks.1.attn.c_attn.weight"].std == plan["wte.weight"].std == pytest.approx(math.sqrt(2 / D))
    assert plan["blocks.1.attn.c_proj.weight"].std == pytest.approx(math.sqrt(2 / D) / math.sqrt(2 * L))
    assert plan["blocks.1.mlp.c_proj.weight"].std == pytest.approx(math.sqrt(2 / (4 * D)) / math.sqrt(2 * L))
    assert plan["blocks.1.attn.c_attn.bias"].mean == 0
