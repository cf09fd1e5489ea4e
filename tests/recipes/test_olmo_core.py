"""OLMo-core, which cannot be installed here: its numbers by hand, on a model that has its modules and names."""

from __future__ import annotations

import math

import pytest
import torch
from shapes import FF, THREE, VOCAB, D, FeedForward, L
from torch import nn

import initium


class CoreAttention(nn.Module):
    """OLMo-core's names."""

    def __init__(self) -> None:
        super().__init__()
        self.w_q, self.w_k, self.w_v, self.w_out = (nn.Linear(D, D, bias=False) for _ in range(4))


class DroplessMoEMLP(nn.Module):
    """(experts, hidden, model) all three; w2 is used as x @ w2."""

    def __init__(self) -> None:
        super().__init__()
        self.w1, self.w2, self.w3 = (nn.Parameter(torch.zeros(4, FF, D)) for _ in range(3))


class CoreMoE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.router = MoELinearRouter()
        self.experts = nn.ModuleDict({"mlp": DroplessMoEMLP()})


class MoELinearRouter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4 * D))  # flattened, as in the source


class CoreTransformerBlock(nn.Module):
    def __init__(self, mixture: bool = False) -> None:
        super().__init__()
        self.attention = CoreAttention()
        if mixture:
            self.feed_forward_moe = CoreMoE()
        else:
            self.feed_forward = FeedForward()


def core(mixture: bool = False) -> nn.Module:
    blocks = nn.ModuleDict({str(i): CoreTransformerBlock(mixture) for i in range(L)})
    head = nn.ModuleDict({"w_out": nn.Linear(D, VOCAB, bias=False)})
    return nn.ModuleDict({"embeddings": nn.Embedding(VOCAB, D), "blocks": blocks, "lm_head": head})


@pytest.mark.parametrize(("kind", "factor"), [("llama", 2 * L), ("llama-depth", 2 * 3)])
def test_olmo_core(kind: str, factor: int) -> None:
    """nn/transformer/init.py: w1 at std, w3 and w2 scaled; block 2 of 4, so l + 1 = 3."""
    plan = initium.plan(core(), initium.recipe("olmo-core", kind=kind), seed=0)
    scaled = 0.02 * THREE / math.sqrt(factor)
    for name in ("attention.w_out", "feed_forward.w2", "feed_forward.w3"):
        assert plan[f"blocks.2.{name}.weight"].std == pytest.approx(scaled, rel=1e-9), name
    for name in ("attention.w_q", "attention.w_k", "attention.w_v", "feed_forward.w1"):
        assert plan[f"blocks.2.{name}.weight"].std == pytest.approx(0.02 * THREE, rel=1e-9), name
    assert plan["embeddings.weight"].std == 1
    assert plan["lm_head.w_out.weight"].std == pytest.approx(THREE / math.sqrt(D), rel=1e-9)
    experts = initium.plan(core(mixture=True), initium.recipe("olmo-core", kind=kind), seed=0)
    for name in ("experts.mlp.w1", "experts.mlp.w2", "experts.mlp.w3", "router.weight"):
        assert experts[f"blocks.2.feed_forward_moe.{name}"].std == pytest.approx(scaled, rel=1e-9), f"{name}: w1 too"
    he = initium.plan(core(mixture=True), "he", seed=0)
    assert [he[f"blocks.2.feed_forward_moe.experts.mlp.{w}"].fan_in for w in ("w1", "w2", "w3")] == [D, FF, D]


def test_olmo_core_normalized_and_normal() -> None:
    plan = initium.plan(core(), initium.recipe("olmo-core", kind="normalized"), seed=0)
    root = THREE / math.sqrt(D)
    for name in ("attention.w_q", "feed_forward.w1", "feed_forward.w3"):
        assert plan[f"blocks.1.{name}.weight"].std == pytest.approx(root, rel=1e-9), name
    for name in ("attention.w_out", "feed_forward.w2"):
        assert plan[f"blocks.1.{name}.weight"].std == pytest.approx(root / math.sqrt(2 * L), rel=1e-9), name
    assert plan["embeddings.weight"].std == pytest.approx(D**-0.5)
    mixture = initium.plan(core(mixture=True), initium.recipe("olmo-core", kind="normalized"), seed=0)
    assert mixture["blocks.1.feed_forward_moe.experts.mlp.w2"].std == pytest.approx(0.02 * THREE), "its experts keep std"
    plain = initium.plan(core(), initium.recipe("olmo-core", kind="normal", std=0.01), seed=0)
    assert {round(entry.std, 12) for entry in plain.values() if entry.kind == "drawn"} == {round(0.01 * THREE, 12)}
    with pytest.raises(initium.InitiumError, match="kind 'lama' not supported. Did you mean 'llama'"):
        initium.recipe("olmo-core", kind="lama")
