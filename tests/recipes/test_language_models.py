"""Code bases that cannot be installed here: their numbers by hand, on models that have the modules and names of theirs."""

from __future__ import annotations

import math

import pytest
from torch import nn

import initium

D, FF, L, VOCAB = 64, 96, 4, 50
THREE = 0.9865783925581086  # the std of a standard normal cut at ±3


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


class FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w1, self.w2, self.w3 = nn.Linear(D, FF, bias=False), nn.Linear(FF, D, bias=False), nn.Linear(D, FF, bias=False)


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
