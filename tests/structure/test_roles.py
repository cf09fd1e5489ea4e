"""Laws of roles: what names, traces and the user say; the same under any order and any wrapping; never guessed, and said where unknown."""

from __future__ import annotations

import copy
import random
import re
import string
from collections.abc import Callable

import pytest
import torch
from families import EXPECTED, D, Secret, Traced, block, maps, named
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import initium
from initium import Normal, Recipe, Rule
from initium._inventory import inventory
from initium._structure.structure import BIASES, STRUCTURAL, Structure, structure_of

DEPTH = 5


def read(model: nn.Module, **said: str) -> Structure:
    return structure_of(inventory(model), tuple((glob, (role,)) for glob, role in said.items()))


def roles(structure: Structure) -> dict[str, set[str]]:
    return {name: set(place.roles) for name, place in structure.places.items() if place.roles}


def decoder(make: Callable[[], nn.Module], depth: int = DEPTH) -> nn.Module:
    layers = nn.ModuleList(make() for _ in range(depth))
    return named(
        "Decoder", {"embed": nn.Embedding(9, D), "layers": layers, "norm": nn.LayerNorm(D), "lm_head": nn.Linear(D, 9)}
    )


# --- by names


@pytest.mark.parametrize("family", EXPECTED)
@pytest.mark.parametrize("shuffled", [False, True])
def test_the_names_of_a_family_say_what_its_weights_are_in_any_order_of_registration(family: str, shuffled: bool) -> None:
    found = read(decoder(lambda: block(family, shuffled)))
    for layer in range(DEPTH):
        for name, words in EXPECTED[family].items():
            place = found.places[f"layers.{layer}.{name}.weight"]
            assert set(words.split()) <= set(place.roles), f"{name}: {place.roles}"
            assert "residual_out" in place.roles or "residual_out" not in words
            assert (place.layer, place.depth) == (layer, DEPTH)
            bias = found.places.get(f"layers.{layer}.{name}.bias")
            assert bias is None or set(bias.roles) == {f"{role}_bias" for role in place.roles}, "a bias is what its weight is"
    ends = [name for name, place in found.places.items() if "residual_out" in place.roles]
    expected = sum("residual_out" in words for words in EXPECTED[family].values())
    assert len({re.sub(r"\d+", "#", name) for name in ends}) == expected, "no more ends than these"


@pytest.mark.parametrize("family", EXPECTED)
def test_where_a_model_stands_changes_no_role(family: str) -> None:
    """Wrapped in modules of any name, compiled or parallel: the same roles below, the same layers."""
    plain = read(decoder(lambda: block(family)))
    inside = decoder(lambda: block(family))
    wrapped = read(named("Wrapper", {"trunk": named("Another", {"module": inside})}))
    assert {f"trunk.module.{name}": place.roles for name, place in plain.places.items()} == {
        name: place.roles for name, place in wrapped.places.items()
    }
    assert [place.layer for place in plain.places.values()] == [place.layer for place in wrapped.places.values()]
    assert roles(read(nn.DataParallel(inside))) == roles(plain), "a wrapper's own level is no name"


def test_the_numbered_names_mean_by_their_company() -> None:
    """w1, w2, w3: gate, down, up. w12, w3: both and down. w1, w2 alone: up and down."""
    for words, expected in (
        ("w1 w2 w3", {"w1": "gate", "w2": "down", "w3": "up"}),
        ("w12 w3", {"w3": "down"}),
        ("w1 w2", {"w1": "up", "w2": "down"}),
    ):
        net = decoder(lambda w=words: named("Block", {"ffn": named("FeedForward", maps(w))}), 2)  # type: ignore[misc]
        found = read(net)
        for name, role in expected.items():
            assert role in found.places[f"layers.0.ffn.{name}.weight"].roles, (words, name)
        down = [name for name, place in found.places.items() if "down" in place.roles]
        assert len(down) == 2, "one in each block"


def test_packed_weights_have_the_roles_of_all_that_is_in_them() -> None:
    net = nn.TransformerEncoder(nn.TransformerEncoderLayer(D, 2, 2 * D), 3, enable_nested_tensor=False)
    place = read(net).places["layers.2.self_attn.in_proj_weight"]
    assert set(place.roles) == {"query", "key", "value"}
    assert place.heads == 2
    assert place.layer == 2
    assert "residual_out" in read(net).places["layers.2.self_attn.out_proj.weight"].roles


def test_the_same_words_outside_of_their_company_say_nothing() -> None:
    """``proj``, ``dense``, ``fc1`` and ``w2`` in classes that call themselves nothing, and in no block."""
    net = named("Net", {"thing": named("Thing", maps("proj dense fc1 w2 c_proj o_proj down_proj q k v"))})
    found = read(net)
    assert {role for place in found.places.values() for role in place.roles} <= {"first", "first_bias"}
    assert all(place.layer is None for place in found.places.values())


# --- by trace


WORDS = ("rook", "bishop", "queen", "king")
EXPECTED_ENDS = {"bishop", "king"}


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_the_forward_pass_says_what_the_names_do_not(order: tuple[int, ...]) -> None:
    found = read(decoder(lambda: Traced(WORDS, order)))
    for layer in range(DEPTH):
        for word in WORDS:
            place = found.places[f"layers.{layer}.{word}.weight"]
            assert ("residual_out" in place.roles) == (word in EXPECTED_ENDS), word
            assert ("branch" in place.roles) == (word not in EXPECTED_ENDS)
            assert (place.layer, place.depth, place.branches, place.branch) == (layer, DEPTH, 2 * DEPTH, 2)
    assert any("by the trace of Traced" in note for note in found.notes), "the plan says where it was read"


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.text(string.ascii_lowercase, min_size=3, max_size=9), min_size=4, max_size=4, unique=True), st.randoms())
def test_renaming_and_reordering_change_nothing_that_a_trace_tells(words: list[str], shuffle: random.Random) -> None:
    words = [f"{word}_z" for word in words]  # no word of any family, nor one of nn.Module's own
    order = list(range(4))
    shuffle.shuffle(order)
    found = read(decoder(lambda: Traced(words, tuple(order)), 2))
    ends = {name for name, place in found.places.items() if "residual_out" in place.roles}
    assert ends == {f"layers.{layer}.{words[i]}.weight" for layer in range(2) for i in (1, 3)}


class Convolutions(nn.Module):
    """A bottleneck with a projection on its shortcut, and a squeeze-and-excitation gate on its branch."""

    def __init__(self, project: bool) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(D, D, 1, bias=False) for _ in range(3))
        self.first, self.second, self.last = (nn.BatchNorm2d(D) for _ in range(3))
        self.squeeze, self.excite = nn.Conv2d(D, 4, 1), nn.Conv2d(4, D, 1)
        self.side = nn.Conv2d(D, D, 1, bias=False) if project else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.last(self.three(self.second(self.two(self.first(self.one(x)).relu())).relu()))
        y = y * self.excite(self.squeeze(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return self.side(x) + y  # type: ignore[no-any-return]


def test_the_end_of_a_branch_is_neither_its_gate_nor_the_projection_beside_it() -> None:
    found = read(nn.Sequential(Convolutions(True), Convolutions(False)))
    for i in range(2):
        ends = {name for name, place in found.places.items() if "residual_out" in place.roles and name.startswith(f"{i}.")}
        assert ends == {f"{i}.three.weight"}
        assert "residual_norm" in found.places[f"{i}.last.weight"].roles
        assert "residual_norm" not in found.places[f"{i}.second.weight"].roles
    assert not found.places["0.side.weight"].roles


def test_blocks_that_are_not_residual_have_no_ends() -> None:
    class Forward(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(D, D), nn.Linear(D, D)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(self.a(x).relu()).relu()  # type: ignore[no-any-return]

    found = read(nn.Sequential(Forward(), Forward()))
    assert not any({"residual_out", "branch"} & set(place.roles) for place in found.places.values())


# --- depth


def test_layers_are_counted_through_the_stages_of_a_stack_and_each_stack_by_itself() -> None:
    stages = {f"layer{s}": nn.Sequential(*(Traced(WORDS) for _ in range(n))) for s, n in ((1, 2), (2, 3), (3, 1))}
    found = read(named("Net", stages))
    assert [
        found.places[f"{name}.rook.weight"].layer for name in ("layer1.0", "layer1.1", "layer2.0", "layer2.2", "layer3.0")
    ] == [*(0, 1, 2, 4, 5)]
    assert found.places["layer3.0.rook.weight"].depth == 6
    two = read(nn.Transformer(D, 2, 3, 5, 2 * D, batch_first=True))
    assert two.places["encoder.layers.2.linear1.weight"].depth == 3
    assert two.places["decoder.layers.4.linear1.weight"].depth == 5
    assert two.numbers == {"encoder_depth": 3, "decoder_depth": 5}


@pytest.mark.parametrize("container", [nn.ModuleList, nn.Sequential, "dict"])
def test_a_layer_s_index_is_its_place_in_whatever_holds_it(container: object) -> None:
    blocks = [block("llama") for _ in range(12)]
    if container == "dict":
        held: nn.Module = nn.ModuleDict({str(i): one for i, one in enumerate(blocks)})
    elif container is nn.Sequential:
        held = nn.Sequential(*blocks)
    else:
        held = nn.ModuleList(blocks)
    found = read(named("Net", {"layers": held}))
    assert [found.places[f"layers.{i}.mlp.up_proj.weight"].layer for i in range(12)] == list(range(12)), "10 follows 9, not 1"


def test_a_stage_of_a_pipeline_takes_the_depth_of_its_configuration() -> None:
    model = decoder(lambda: block("llama"), 2)
    model.config = type("Config", (), {"num_hidden_layers": 32, "hidden_size": D})()
    assert read(model).places["layers.1.mlp.down_proj.weight"].depth == 32


# --- by the user


def test_the_user_s_word_goes_over_names_and_traces() -> None:
    found = read(decoder(lambda: block("llama")), **{"**.mlp.up_proj.weight": "residual_out", "**.o_proj.weight": "query"})
    assert found.places["layers.3.mlp.up_proj.weight"].roles == ("residual_out",)
    assert found.places["layers.3.self_attn.o_proj.weight"].roles == ("query",)
    assert found.places["layers.3.mlp.up_proj.weight"].how == "what the recipe says"
    assert "down" in found.places["layers.3.mlp.down_proj.weight"].roles, "and over nothing else"


def test_a_word_of_the_user_s_that_reaches_nothing_is_an_error() -> None:
    net = decoder(lambda: block("llama"))
    with pytest.raises(
        initium.InitiumError, match=r"roles= says residual_out of 'layers\.\*\.oproj\.weight', and no parameter has"
    ):
        read(net, **{"layers.*.oproj.weight": "residual_out"})
    with pytest.raises(initium.InitiumError, match=r"no structural role is called 'residual'\. Did you mean 'residual_out'"):
        read(net, **{"**.o_proj.weight": "residual"})


# --- never guessed, and said


def test_what_nobody_can_read_has_no_role_and_the_plan_says_so() -> None:
    found = read(decoder(lambda: Secret(WORDS)))
    inside = {name: place for name, place in found.places.items() if name.startswith("layers.")}
    assert {role for place in inside.values() for role in place.roles} <= {"first", "first_bias"}
    assert all(place.layer is None for place in inside.values())
    assert "no blocks were found: depth 5 is that of layers" in found.notes
    opaque = read(decoder(lambda: type("SecretBlock", (Secret,), {})(WORDS)))
    assert any("no residual branch could be read in 5 blocks (layers.0, …): say roles=" in note for note in opaque.notes)
    assert opaque.places["layers.4.king.weight"].layer == 4, "its class calls itself a block"
    assert not opaque.places["layers.4.king.weight"].roles
    plan_of = Recipe([Rule("**", Normal(0.02)), Rule(role="residual_out", initializer=0)])
    with pytest.raises(
        initium.InitiumError, match=r"(?s)role=residual_out.*match nothing.*roles=|match nothing.*residual_out.*roles="
    ):
        initium.plan(decoder(lambda: Secret(WORDS)), plan_of, seed=0)
    said = Recipe(plan_of.rules, roles={"layers.*.{bishop,king}.weight": "residual_out"})
    plan = initium.plan(decoder(lambda: Secret(WORDS)), said, seed=0)
    assert plan["layers.2.king.weight"].std == 0
    assert plan["layers.2.queen.weight"].std == 0.02


def test_a_block_of_which_only_a_half_is_known_is_noted() -> None:
    """A feed-forward net that calls its maps something else: its end is not scaled, and the plan says which weights have no role."""
    half = named(
        "Block", {"attn": named("CausalSelfAttention", maps("c_attn c_proj")), "brain": named("Brain", maps("left right"))}
    )
    found = read(decoder(lambda: copy.deepcopy(half), 2))
    assert any("no role for 6 weights" in note and "layers.*.brain.left.weight" in note for note in found.notes), found.notes
    whole = read(decoder(lambda: block("llama")))
    assert not any("no role" in note for note in whole.notes)


def test_every_role_can_be_said_and_asked_for() -> None:
    for role in (*STRUCTURAL, *BIASES):
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        recipe = Recipe([Rule("**", 0), Rule(role=role, initializer=7)], roles={"0.weight": role})
        plan = initium.plan(net, recipe, seed=0)
        assert plan["0.weight"].mean == 7
        assert role == "head" or plan["1.weight"].mean == 0


def test_the_head_is_the_last_map_by_its_name_and_never_within_a_block() -> None:
    net = decoder(lambda: named("Block", {"attn": named("Attention", maps("qkv proj")), "head": nn.Linear(D, D)}), 2)
    found = read(net)
    heads = [name for name, place in found.places.items() if "head" in place.roles]
    assert heads == ["lm_head.weight"]
    two = read(
        named("Net", {"body": nn.Linear(D, D), "classifier": nn.Sequential(nn.Linear(D, D), nn.ReLU(), nn.Linear(D, 3))})
    )
    assert [name for name, place in two.places.items() if "head" in place.roles] == ["classifier.2.weight"]
