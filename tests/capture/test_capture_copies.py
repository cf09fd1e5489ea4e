"""What a constructor's tensors have of each other: copies, ties, tensors computed from others, pieces and views of one."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from alike import Holder, planned
from torch import nn

import initium


def test_a_copy_from_a_drawn_tensor_is_that_tensor() -> None:
    def fill(module: nn.Module) -> None:
        module.online, module.target = nn.Linear(32, 32), nn.Linear(32, 32)
        module.target.load_state_dict(module.online.state_dict())
        module.table = nn.Parameter(torch.zeros(32, 32))
        with torch.no_grad():
            module.table.copy_(module.online.weight)
        module.scaled = nn.Parameter(0.5 * module.online.weight.detach())

    plan = planned(fill)
    first = plan.values("online.weight")
    assert torch.equal(first, plan.values("target.weight"))
    assert torch.equal(first, plan.values("table"))
    assert torch.equal(first * 0.5, plan.values("scaled"))
    assert plan["target.weight"].note == "a copy of table", "the first in the model's order"
    assert torch.equal(plan.reseed(7).values("online.weight"), plan.reseed(7).values("target.weight"))


def test_deep_copies_are_copies_until_they_are_drawn_anew() -> None:
    def fill(module: nn.Module) -> None:
        module.a = nn.Sequential(nn.Linear(16, 16), nn.LayerNorm(16))
        module.b = copy.deepcopy(module.a)
        module.c = copy.deepcopy(module.a)
        module.c[0].reset_parameters()

    plan = planned(fill)
    assert torch.equal(plan.values("a.0.weight"), plan.values("b.0.weight"))
    assert not torch.equal(plan.values("a.0.weight"), plan.values("c.0.weight"))


def test_the_layers_of_a_transformer_encoder_are_alike() -> None:
    def fill(module: nn.Module) -> None:
        module.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 3)

    plan = planned(fill)
    for name in ("self_attn.in_proj_weight", "linear1.weight", "linear2.bias"):
        first = plan.values(f"encoder.layers.0.{name}")
        assert bool(first.any())
        assert all(torch.equal(first, plan.values(f"encoder.layers.{i}.{name}")) for i in (1, 2))


def test_ties_stay_ties() -> None:
    def fill(module: nn.Module) -> None:
        module.embed, module.head = nn.Embedding(50, 16), nn.Linear(16, 50, bias=False)
        module.head.weight = module.embed.weight

    plan = planned(fill)
    assert plan["head.weight"].kind == "tied"
    assert plan["head.weight"].tied_to == "embed.weight"
    built = initium.build(Holder, fill, seed=0)
    assert built.head.weight is built.embed.weight
    skeleton, _ = initium.capture(Holder, fill, seed=0)
    assert skeleton.head.weight is skeleton.embed.weight


@pytest.mark.filterwarnings("ignore")  # the old functions are deprecated
@pytest.mark.parametrize(
    "which", ["weight_norm", "spectral_norm", "parametrizations.weight_norm", "parametrizations.spectral_norm"]
)
def test_derived_tensors_are_computed_from_the_drawn_weight_under_its_final_name(which: str) -> None:
    wrap = nn.utils
    for part in which.split("."):
        wrap = getattr(wrap, part)

    def fill(module: nn.Module) -> None:
        module.layers = nn.ModuleList([wrap(nn.Linear(24, 16)), wrap(nn.Conv1d(8, 12, 3))])

    plan = planned(fill)
    built = initium.build(Holder, fill, seed=0)
    tensors = {**dict(built.named_parameters()), **dict(built.named_buffers())}
    plain = initium.build(nn.Sequential, nn.Linear(24, 16), seed=0)  # its names are others: only to be unlike
    assert not torch.equal(built.layers[0].weight, plain[0].weight)
    if which == "parametrizations.weight_norm":
        g, v = (tensors[f"layers.0.parametrizations.weight.original{i}"] for i in range(2))
        assert torch.allclose(g, torch.linalg.vector_norm(v, dim=1, keepdim=True), rtol=1e-6)
        assert torch.allclose(built.layers[0].weight, v, rtol=1e-5)
        assert plan["layers.0.parametrizations.weight.original0"].derived_from == "layers.0.parametrizations.weight.original1"
    if which == "weight_norm":
        assert torch.allclose(
            tensors["layers.0.weight_g"], torch.linalg.vector_norm(tensors["layers.0.weight_v"], dim=1, keepdim=True)
        )
    if which == "parametrizations.spectral_norm":
        weight, u = tensors["layers.0.parametrizations.weight.original"], tensors["layers.0.parametrizations.weight.0._u"]
        assert torch.equal(
            weight.flatten(), initium.plan(nn.Linear(24, 16), "torch", seed=0, prefix="layers.0.").values("layers.0.weight")
        )
        sigma = torch.linalg.svdvals(weight.double())[0]
        assert 0.97 < float((weight.double().T @ u.double()).norm() / sigma) <= 1 + 1e-6, "u is where the power iteration leads"


def test_stacked_experts_in_a_loop_are_one_tensor() -> None:
    def fill(module: nn.Module) -> None:
        module.experts = nn.Parameter(torch.empty(8, 16, 24))
        for expert in module.experts.data:
            nn.init.xavier_uniform_(expert)

    entry = planned(fill)["experts"]
    assert entry.kind == "drawn"
    assert entry.std == pytest.approx(math.sqrt(2 / 40))


def test_a_cat_of_drawn_pieces() -> None:
    def fill(module: nn.Module) -> None:
        module.w = nn.Parameter(torch.cat([torch.randn(10, 4) * 0.1, torch.zeros(3, 4), torch.rand(5, 4)]))

    w = planned(fill).values("w").view(18, 4)
    assert not w[10:13].any()
    assert bool((w[13:] >= 0).all())


def _orthogonal_gates(m: nn.Module) -> None:
    m.lstm = nn.LSTM(8, 16)
    for p in m.lstm.parameters():
        if p.dim() == 2:
            for gate in p.chunk(4):
                nn.init.orthogonal_(gate)
    m.copied = copy.deepcopy(m.lstm)


def _orthogonal_rows_of_a_view(m: nn.Module) -> None:
    m.conv = nn.Conv2d(8, 16, 3)
    nn.init.orthogonal_(m.conv.weight.view(16, -1)[:8])
    nn.init.orthogonal_(m.conv.weight.view(16, -1)[8:], gain=2)
    m.whole = nn.Conv2d(8, 16, 3)
    nn.init.orthogonal_(m.whole.weight.view(16, -1))


def _orthogonal_columns(m: nn.Module) -> None:
    m.linear = nn.Linear(40, 20)
    nn.init.orthogonal_(m.linear.weight[:, :20])
    nn.init.orthogonal_(m.linear.weight[:, 20:])
    m.linear.weight.data[:10].mul_(3)


def _sparse_in_another_shape(m: nn.Module) -> None:
    m.conv = nn.Conv2d(8, 16, 3)
    nn.init.sparse_(m.conv.weight.view(16, -1), 0.5)
    m.linear = nn.Linear(20, 40)
    nn.init.eye_(m.linear.weight[:20])
    nn.init.eye_(m.linear.weight.data[20:])


def _views_of_one_flat_tensor(m: nn.Module) -> None:
    flat = torch.empty(3000)
    nn.init.normal_(flat, std=0.3)
    m.a, m.b = nn.Parameter(flat[:1000].view(100, 10)), nn.Parameter(flat[1000:])


def _expanded_buffers(m: nn.Module) -> None:
    m.register_buffer("places", torch.arange(10).expand(4, 10))
    m.register_buffer("twos", torch.ones(1, 5).expand(3, -1) * 2)
    m.register_buffer("zeros", torch.zeros(1, 5).expand(3, 5))
    m.register_buffer("drawn", torch.randn(1, 2000).expand(4, 2000))


@pytest.mark.parametrize(
    "fill",
    [
        _orthogonal_gates,
        _orthogonal_rows_of_a_view,
        _orthogonal_columns,
        _sparse_in_another_shape,
        _views_of_one_flat_tensor,
        _expanded_buffers,
    ],
    ids=lambda fill: fill.__name__.strip("_"),
)
def test_what_is_made_whole_in_a_part_or_shown_by_a_view_is_as_it_was(fill: Callable[[nn.Module], None]) -> None:
    plan = planned(fill)
    if fill is _orthogonal_gates:
        built = initium.build(Holder, fill, seed=0)
        gates = built.lstm.weight_hh_l0.detach().chunk(4)
        assert all(torch.allclose(gate @ gate.T, torch.eye(16), atol=1e-5) for gate in gates)
        assert not torch.equal(gates[0], gates[1])
        assert torch.equal(built.copied.weight_hh_l0, built.lstm.weight_hh_l0)
        assert str(plan["lstm.weight_hh_l0"].initializer) == "orthogonal"
    if fill is _orthogonal_columns:
        rows = initium.build(Holder, fill, seed=0).linear.weight.detach()[10:, :20]
        assert torch.allclose(rows @ rows.T, torch.eye(10), atol=1e-5)
    if fill is _expanded_buffers:
        assert initium.build(Holder, fill, seed=0).drawn.stride() == (0, 1)


def _repeated(m: nn.Module) -> None:
    draw = torch.rand(4)
    m.w = nn.Parameter(torch.cat([draw.repeat(2), draw.repeat(3), draw.repeat(2)]).exp())
    m.b = nn.Parameter(torch.cat([torch.rand(2, 3).t().reshape(-1).exp(), torch.rand(3, 2).t().exp().reshape(-1)]))


def test_operations_on_what_looks_alike_differ_by_their_numbers() -> None:
    """What an operator gives is asked once for the same shapes, strides, types and numbers, and once only for the same."""
    plan = planned(_repeated)
    first, second, third = plan.values("w").split([8, 12, 8])
    assert torch.equal(first, third)
    assert torch.equal(second, torch.cat([first, first[:4]]))
