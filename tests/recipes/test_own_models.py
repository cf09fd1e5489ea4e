"""Recipes on models of nobody's library: classes whose names say nothing, children named as people name them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import initium

D, DEPTH, HEADS = 64, 5, 4


class One(nn.Module):
    """Attention: q, k and v packed under one name."""

    def __init__(self, packed: str, out: str) -> None:
        super().__init__()
        self.n_head, self.names = HEADS, (packed, out)
        self.add_module(packed, nn.Linear(D, 3 * D, bias=False))
        self.add_module(out, nn.Linear(D, D, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        packed, out = (getattr(self, name) for name in self.names)
        q, k, v = packed(x).chunk(3, -1)
        return out(F.scaled_dot_product_attention(q, k, v))  # type: ignore[no-any-return]


class Two(nn.Module):
    """Attention: q, k and v apart, the output within a Sequential."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = HEADS
        self.to_q, self.to_k, self.to_v = (nn.Linear(D, D, bias=False) for _ in range(3))
        self.to_out = nn.Sequential(nn.Linear(D, D), nn.Dropout(0.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.to_out(F.scaled_dot_product_attention(self.to_q(x), self.to_k(x), self.to_v(x)))  # type: ignore[no-any-return]


class Three(nn.Module):
    """A gated net of w1, w2, w3."""

    def __init__(self) -> None:
        super().__init__()
        self.w1, self.w3, self.w2 = nn.Linear(D, 96), nn.Linear(D, 96), nn.Linear(96, D)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))  # type: ignore[no-any-return]


class GEGLU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(D, 8 * D)

    def forward(self, x: Tensor) -> Tensor:
        up, gate = self.proj(x).chunk(2, -1)
        return up * F.gelu(gate)  # type: ignore[no-any-return]


class Four(nn.Module):
    """A net as diffusers writes it: net.0.proj and net.2."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(GEGLU(), nn.Dropout(0.0), nn.Linear(4 * D, D))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


class Piece(nn.Module):
    def __init__(self, first: str, attention: nn.Module, second: str, net: nn.Module) -> None:
        super().__init__()
        self.names = first, second
        self.add_module(first, attention)
        self.add_module(second, net)
        self.norms = nn.ModuleList([nn.LayerNorm(D), nn.LayerNorm(D)])

    def forward(self, x: Tensor) -> Tensor:
        for name, norm in zip(self.names, self.norms, strict=True):
            x = x + getattr(self, name)(norm(x))
        return x


class Whole(nn.Module):
    def __init__(self, name: str, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.add_module(name, nn.ModuleList(make() for _ in range(DEPTH)))
        self.table, self.lm_head = nn.Embedding(50, D), nn.Linear(D, 50, bias=False)


def gpt() -> nn.Module:
    return Whole("blocks", lambda: Piece("attn", One("c_attn", "c_proj"), "mlp", Three()))


def llama() -> nn.Module:
    return Whole("layers", lambda: Piece("self_attention", One("wqkv", "wo"), "feed_forward", Three()))


def decoder() -> nn.Module:
    return Whole("decoder", lambda: Piece("attn1", Two(), "ff", Four()))


def stds(plan: initium.Plan, *names: str) -> list[float]:
    return [float(plan[name].std or 0.0) for name in names]


def test_deepnorm_reaches_value_output_and_feed_forward_net_whatever_the_classes_are_called() -> None:
    beta = (8 * DEPTH) ** -0.25
    plan = initium.plan(llama(), "deepnorm", seed=0)
    here = "layers.3.self_attention"
    packed = plan.values(f"{here}.wqkv.weight").reshape(3, D, D).double()
    expected = [D**-0.5, D**-0.5, D**-0.5 * beta]  # 4096 numbers: within 5% but once in 10⁵
    assert [float(part.std()) for part in packed] == pytest.approx(expected, rel=0.05)
    assert stds(plan, f"{here}.wo.weight") == pytest.approx([D**-0.5 * beta])
    net = [f"layers.3.feed_forward.{name}.weight" for name in ("w1", "w2", "w3")]
    assert stds(plan, *net) == pytest.approx([(2 / (D + 96)) ** 0.5 * beta] * 3)

    plan = initium.plan(decoder(), "deepnorm", seed=0)
    scaled = ("attn1.to_v.weight", "attn1.to_out.0.weight", "ff.net.0.proj.weight", "ff.net.2.weight")
    one, wide = D**-0.5 * beta, (2 / (D + 4 * D)) ** 0.5 * beta
    assert stds(plan, *(f"decoder.3.{name}" for name in scaled)) == pytest.approx([one, one, wide, wide])
    assert stds(plan, "decoder.3.attn1.to_q.weight", "decoder.3.attn1.to_k.weight") == pytest.approx([D**-0.5] * 2)


def test_deepnorm_without_a_value_is_an_error_and_not_a_part_of_it() -> None:
    net = Whole("layers", lambda: Piece("strange", One("thing", "end"), "feed_forward", Three()))
    with pytest.raises(initium.InitiumError, match=r"(?s)match nothing in the model.*role=value"):
        initium.plan(net, "deepnorm", seed=0)


def test_t5_makes_the_query_small_and_not_what_is_packed_with_it() -> None:
    plan = initium.plan(llama(), "t5", seed=0)
    q, k, v = plan.values("layers.2.self_attention.wqkv.weight").reshape(3, D, D).double()
    small = (D * D / HEADS) ** -0.5
    assert [float(part.std()) for part in (q, k, v)] == pytest.approx([small, D**-0.5, D**-0.5], rel=0.05)
    plan = initium.plan(decoder(), "t5", seed=0)
    assert stds(plan, "decoder.0.attn1.to_q.weight", "decoder.0.attn1.to_k.weight") == pytest.approx([small, D**-0.5])


@pytest.mark.parametrize(
    ("make", "ends"),
    [
        (gpt, ("blocks.4.attn.c_proj", "blocks.4.mlp.w2")),
        (llama, ("layers.4.self_attention.wo", "layers.4.feed_forward.w2")),
        (decoder, ("decoder.4.attn1.to_out.0", "decoder.4.ff.net.2")),
    ],
)
def test_residual_ends_are_found_and_nothing_else(make: Callable[[], nn.Module], ends: tuple[str, ...]) -> None:
    plan = initium.plan(make(), "gpt2", seed=0)
    small = {name for name, entry in plan.items() if entry.std == pytest.approx(0.02 / math.sqrt(2 * DEPTH))}
    assert small == {f"{end}.weight".replace("4", str(layer), 1) for end in ends for layer in range(DEPTH)}


def test_torchtitan_scales_up_and_not_gate_where_they_are_packed() -> None:
    plan = initium.plan(decoder(), "torchtitan-llama3", seed=0)
    up, gate = plan.values("decoder.4.ff.net.0.proj.weight").reshape(2, 4 * D, D).double()
    assert [float(up.std()), float(gate.std())] == pytest.approx([0.02 / math.sqrt(10), 0.02], rel=0.03)


def test_mimetic_knows_an_attention_by_what_its_owner_calls_it() -> None:
    net = llama()
    initium.initialize(net, "mimetic", seed=0)
    attention = net.get_submodule("layers.1.self_attention")
    v = attention.wqkv.weight.detach()[2 * D :]
    assert float((v.T @ attention.wo.weight.detach().T).diagonal().mean()) < -0.3


def test_clip_counts_the_layers_of_each_tower() -> None:
    class Towers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.text, self.image = nn.Module(), nn.Module()
            self.text.layers = nn.ModuleList(Piece("attn", Two(), "mlp", Three()) for _ in range(3))
            self.image.layers = nn.ModuleList(Piece("attn", Two(), "mlp", Three()) for _ in range(7))

    plan = initium.plan(Towers(), "clip", seed=0)
    both = stds(plan, "text.layers.0.attn.to_q.weight", "image.layers.0.attn.to_q.weight")
    assert both == pytest.approx([(6 * D) ** -0.5, (14 * D) ** -0.5])


def test_wrappers_change_nothing() -> None:
    plain = initium.plan(gpt(), "gpt2", seed=0)
    compiled = initium.plan(torch.compile(gpt(), backend="eager"), "gpt2", seed=0)
    parallel = initium.plan(nn.DataParallel(gpt()), "gpt2", seed=0)
    seen = [[(name, entry.std, entry.role) for name, entry in plan.items()] for plan in (plain, compiled, parallel)]
    assert seen[0] == seen[1] == seen[2]
    assert plain.fingerprint() == compiled.fingerprint() == parallel.fingerprint()
