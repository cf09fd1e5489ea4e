"""What an examination from outside brought to light: bugs that were missed, correct models that were not believed. Each failed at first."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from planting import Net, batch, found, of
from torch import Tensor, nn
from torch.nn import functional as F

import initium


def test_a_cast_and_a_masked_write_keep_what_was_drawn_before() -> None:
    def start(self: Any) -> None:
        self.first.to(torch.bfloat16)
        nn.init.trunc_normal_(self.first.weight, std=0.02)
        self.first.float()
        with torch.no_grad():
            self.first.weight[self.first.weight.abs() < 0.01] = 0.0

    assert not found(of(start), batch(4, 64))


@pytest.mark.parametrize("rows", [64, 400])
def test_a_functional_rectifier_that_is_shut_is_named_by_the_layer_before_it(rows: int) -> None:
    """With 64 rows a healthy unit is dead with probability ½ at most; all 64 units at 2⁻⁶⁴."""
    (finding,) = found(of(lambda self: nn.init.constant_(self.first.bias, -4.0)), batch(rows, 64)).values()
    assert (finding.code, finding.name) == ("D010", "first")
    assert "64 of the 64 units of the rectifier after it" in finding.message


def test_a_layer_that_is_shut_on_one_call_and_open_on_the_next_is_not_dead() -> None:
    class Twice(Net):  # as a decoder whose queries are 0 before its first layer
        def forward(self, x: Tensor) -> Tensor:
            return self.last(F.relu(self.first(0 * x)) + F.relu(self.first(x)))

    assert not found(of(lambda self: nn.init.zeros_(self.first.bias), Twice), batch(64, 64))


class Scaled(nn.Module):
    def __init__(self, residual: bool) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(64, 64), nn.LayerNorm(64), nn.Linear(64, 3)
        self.residual = residual
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(x + self.norm(x) if self.residual else self.norm(x))


def test_a_norm_of_scale_0_that_ends_no_branch_is_found() -> None:
    assert not found(lambda: Scaled(residual=True), batch(8, 64))
    (finding,) = found(lambda: Scaled(residual=False), batch(8, 64)).values()
    assert (finding.code, finding.severity, finding.name) == ("C001", "warning", "norm.weight")
    assert "no sum follows it" in finding.message


class Product(nn.Module):
    """A raw parameter, read (in, out)."""

    def __init__(self, scale: float, equalised: bool) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(64, 256))
        self.last = nn.Linear(256, 2)
        self.scale, self.equalised = scale, equalised
        if equalised:
            nn.init.normal_(self.table)
        else:
            nn.init.kaiming_normal_(self.table)

    def forward(self, x: Tensor) -> Tensor:
        return self.last((x @ (self.table * self.scale if self.equalised else self.table)).relu())


def test_how_a_raw_weight_is_read_is_seen_in_the_forward_pass() -> None:
    (finding,) = found(lambda: Product(1.0, False), batch(8, 64)).values()
    assert (finding.code, finding.name) == ("F007", "table")
    assert "64×256" in finding.message
    assert not found(lambda: Product(1 / 8, True), batch(8, 64)), "scaled on its way into the product, as at an equalised rate"


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(32, 4)
        self.inner = nn.Parameter((torch.randn(32, 64) / 32**0.5).expand(4, -1, -1).clone())
        self.outer = nn.Parameter(torch.randn(4, 64, 32) / 8)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.einsum("bd,edf->bef", x, self.inner).relu()
        return torch.einsum("bef,efd,be->bd", hidden, self.outer, self.router(x).softmax(-1))


def test_experts_that_were_expanded_from_one_are_found_in_a_stack_of_no_known_layer() -> None:
    (finding,) = found(Experts, batch(8, 32)).values()
    assert (finding.code, finding.name) == ("Y003", "inner")


class TiedByFunction(nn.Module):
    def __init__(self, std: float) -> None:
        super().__init__()
        self.tokens, self.norm = nn.Embedding(100, 64), nn.LayerNorm(64)
        nn.init.normal_(self.tokens.weight, std=std)

    def forward(self, ids: Tensor) -> Tensor:
        return F.linear(self.norm(self.tokens(ids)), self.tokens.weight)


def test_an_embedding_that_is_the_output_layer_by_a_function_call_is_found() -> None:
    ids = torch.arange(32).reshape(2, 16)
    (finding,) = found(lambda: TiedByFunction(1.0), ids).values()
    assert (finding.code, finding.name) == ("S020", "tokens.weight")
    assert not found(lambda: TiedByFunction(0.02), ids)


class Loud(nn.Module):
    def __init__(self, std: float) -> None:
        super().__init__()
        self.tokens, self.norm, self.head = nn.Embedding(100, 64), nn.LayerNorm(64), nn.Linear(64, 100, bias=False)
        nn.init.normal_(self.head.weight, std=std)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.norm(self.tokens(ids)))


def test_the_first_loss_of_a_language_model_is_that_of_every_place() -> None:
    ids = torch.arange(32).reshape(2, 16)
    assert set(found(lambda: Loud(1.0), ids)) == {"P004"}
    assert not found(lambda: Loud(0.02), ids)


def hide_layers(self: Any) -> None:
    self.others = [nn.Linear(64, 64) for _ in range(3)]


def hide_parameters(self: Any) -> None:
    self.others = {"a": nn.Parameter(torch.randn(64) * 0.1)}


def hide_draws(self: Any) -> None:
    self.others = (torch.randn(64), torch.randn(64))


@pytest.mark.parametrize("hide", [hide_layers, hide_parameters, hide_draws])
def test_state_in_a_plain_container_is_found(hide: Any) -> None:
    (finding,) = found(of(hide), batch(4, 64)).values()
    assert (finding.code, finding.name) == ("B003", "others")


def hold_what_is_elsewhere(self: Any) -> None:
    self.layers = [self.first, self.last]
    self.weights = {"first": self.first.weight}
    self.teacher = [copy.deepcopy(self.first).requires_grad_(False)]
    self.anchors = [torch.arange(4.0), torch.linspace(0, 1, 5)]
    self.whole = [self]


def test_what_is_part_of_the_model_frozen_or_computed_may_be_in_a_list() -> None:
    assert not found(of(hold_what_is_elsewhere), batch(4, 64))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_in_the_constructor_is_found_also_where_it_is_the_one_that_was_set(seed: int) -> None:
    def start(self: Any) -> None:
        torch.manual_seed(seed)
        nn.init.normal_(self.first.weight, std=0.1)

    assert set(found(of(start), batch(4, 64))) == {"Y007"}


class Shuffled(nn.Module):
    """ICNR: rows that pixel_shuffle lays side by side begin alike."""

    def __init__(self, shuffles: bool) -> None:
        super().__init__()
        self.up, self.last = nn.Conv2d(16, 64, 3, padding=1), nn.Conv2d(16 if shuffles else 64, 3, 3, padding=1)
        kernel = nn.init.kaiming_normal_(torch.empty(16, 16, 3, 3))
        with torch.no_grad():
            self.up.weight.copy_(kernel.repeat_interleave(4, 0))
        self.shuffles = shuffles

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(x)
        return self.last(F.pixel_shuffle(x, 2) if self.shuffles else x)


def test_rows_may_repeat_before_a_pixel_shuffle_only() -> None:
    assert not found(lambda: Shuffled(True), batch(2, 16, 8, 8))
    assert set(found(lambda: Shuffled(False), batch(2, 16, 8, 8))) == {"Y002"}


class Complex(nn.Module):
    """S4's C: complex numbers of variance 1, stored as two real numbers of variance ½."""

    def __init__(self) -> None:
        super().__init__()
        self.made = nn.Parameter(torch.view_as_real(torch.randn(64, 64, dtype=torch.cfloat)))
        self.filled = nn.Parameter(torch.empty(64, 64, dtype=torch.cfloat))
        nn.init.normal_(self.filled, std=0.5)


def test_the_parts_of_a_complex_draw_share_its_variance() -> None:
    assert not found(Complex, level="weights")


class Critic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 64), nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x).relu())


def test_one_number_a_sample_is_no_sign_of_an_output_that_ignores_its_input() -> None:
    """The cosine of two positive numbers is 1."""
    assert not found(Critic, batch(8, 64).abs())


class Hashed(nn.Module):
    """Features of hashed places begin at ±1e-4: the first output is nearly its bias, as it is meant to be."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(512, 2) for _ in range(8))
        self.net = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
        for table in self.tables:
            nn.init.uniform_(table.weight, -1e-4, 1e-4)

    def forward(self, x: Tensor) -> Tensor:
        places = [(x * 2**level * 40).long().abs().sum(-1) % 512 for level in range(8)]
        return self.net(torch.cat([table(at) for table, at in zip(self.tables, places, strict=True)], -1))


def test_small_features_of_hashed_places_are_meant_so() -> None:
    assert not found(Hashed, batch(32, 3))


def test_a_lost_tie_is_one_finding() -> None:
    class Tied(nn.Module):
        _tied_weights_keys = ("head.weight",)

        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.head = nn.Embedding(100, 64), nn.Linear(64, 100, bias=False)
            nn.init.normal_(self.tokens.weight, std=0.02)
            self.head.weight = nn.Parameter(self.tokens.weight.detach().clone())

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.tokens(ids))

    assert set(found(Tied, torch.arange(32).reshape(2, 16))) == {"T001"}


def test_an_init_of_a_copied_state_dict_is_said_to_be_of_no_part() -> None:
    def start(self: Any) -> None:
        nn.init.xavier_uniform_(copy.deepcopy(self.state_dict())["first.weight"])

    (finding,) = found(of(start), batch(4, 64)).values()
    assert finding.code == "U012"
    assert "is no part of it" in finding.message


def test_holes_that_lie_apart_are_told_by_the_first() -> None:
    def start(self: Any) -> None:
        self.last.bias = nn.Parameter(torch.empty(64))
        self.last.bias.data[16:32] = 0.0

    class Wide(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.last.bias + self.first(x)

    (finding,) = (f for f in initium.audit(of(start, Wide), batch(4, 64)).findings if f.code == "U003")
    assert "48 of its 64 elements are never written: the first is at [0]" in finding.message


def test_a_bias_by_fan_out_and_a_gain_of_another_function_are_found_on_trial() -> None:
    def start(self: Any) -> None:
        nn.init.xavier_uniform_(self.last.weight)
        nn.init.uniform_(self.last.bias, -1 / math.sqrt(3), 1 / math.sqrt(3))

    assert "fan_out" in found(of(start), batch(4, 64), select="F009")["F009"].message

    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
            nn.init.xavier_uniform_(self.net[0].weight, gain=nn.init.calculate_gain("tanh"))

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

    assert "that of tanh" in found(Stack, batch(4, 64), select="F011")["F011"].message


def test_a_router_called_from_outside_of_its_layer_is_looked_at() -> None:
    class Mixture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router = nn.Linear(32, 8)
            self.experts = nn.ModuleList(nn.Linear(32, 32) for _ in range(8))
            with torch.no_grad():
                self.router.bias[0] = 5.0

        def forward(self, x: Tensor) -> Tensor:
            weights, chosen = self.router(x).softmax(-1).topk(2, -1)
            return sum(one(x) * (weights * (chosen == i)).sum(-1, keepdim=True) for i, one in enumerate(self.experts))

    assert found(Mixture, batch(64, 32), select="D013")["D013"].name == "router"
