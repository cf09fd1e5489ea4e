"""Rules on slices: rows and gates get something of their own, and every other element stays what it was, to the bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import initium
from initium import Constant, InitiumError, Keep, Normal, Orthogonal, Parts, Plan, Recipe, Rule, Values
from initium._text.recipes import parse_recipe


def plan(model, *rules, seed=3):
    return initium.plan(model, Recipe(list(rules)), seed=seed)


def drawn(model, *rules):
    initium.initialize(model, Recipe(list(rules)), seed=3)
    return {name: tensor.detach().clone() for name, tensor in model.named_parameters()}


def test_a_gate_gets_its_own_and_the_others_keep_the_bits_they_had():
    base = drawn(nn.LSTM(3, 4), Rule("**", Normal()))
    ours = drawn(
        nn.LSTM(3, 4), Rule("**", Normal()), Rule("weight_hh_*", Orthogonal(), gates="ifo"), Rule("bias_ih_*", 1, gates="f")
    )
    i, f, g, o = ours["weight_hh_l0"].chunk(4)
    for gate in (i, f, o):
        assert torch.allclose(gate @ gate.T, torch.eye(4), atol=1e-6)
    assert g.equal(base["weight_hh_l0"].chunk(4)[2])
    assert ours["bias_ih_l0"][4:8].equal(torch.ones(4))
    assert ours["bias_ih_l0"][[0, 1, 2, 3, *range(8, 16)]].equal(base["bias_ih_l0"][[0, 1, 2, 3, *range(8, 16)]])
    assert ours["bias_hh_l0"].equal(base["bias_hh_l0"])


@pytest.mark.parametrize("rows", [slice(2, 5), (2, 5), "2:5", (-4, -1)])
def test_rows_are_a_range_along_axis_0(rows):
    base = drawn(nn.Linear(3, 6), Rule("**", Normal()))
    ours = drawn(nn.Linear(3, 6), Rule("**", Normal()), Rule("weight", 7, rows=rows))
    assert ours["weight"][2:5].equal(torch.full((3, 3), 7.0))
    assert ours["weight"][[0, 1, 5]].equal(base["weight"][[0, 1, 5]])
    assert ours["bias"].equal(base["bias"])


def test_later_parts_go_over_earlier_ones_and_a_later_whole_over_all():
    rules = [Rule("**", 0), Rule("weight", 1, rows=(0, 4)), Rule("weight", 2, rows=(3, 5))]
    assert drawn(nn.Linear(1, 6), *rules)["weight"].flatten().tolist() == [1, 1, 1, 2, 2, 0]
    entry = plan(nn.Linear(1, 6), *rules)["weight"]
    assert str(entry.initializer) == "0, 0:4: 1, 3:5: 2"
    assert [part in entry.rule for part in ("rows=0:4", "rows=3:5", "'**'")] == [True] * 3
    assert entry.overridden == ()
    entry = plan(nn.Linear(1, 6), *rules, Rule("weight", 5))["weight"]
    assert (entry.mean, len(entry.overridden)) == (5.0, 3)


def test_drawn_parts_have_the_fans_of_the_gate_or_of_the_rows():
    entry = plan(nn.LSTM(3, 4), Rule("**", 0), Rule("weight_hh_l0", "xavier_normal", gates="g"))["weight_hh_l0"]
    assert [part.std for _, part in entry.program.parts] == [0, 0.5, 0]  # √(2 / (4 + 4))
    entry = plan(nn.Linear(8, 6), Rule("**", 0), Rule("weight", "xavier_normal", rows="0:2"))["weight"]
    assert entry.program.parts[0][1].std == (2 / (8 + 2)) ** 0.5


def test_gates_that_take_turns_and_transposed_ones():
    class Fused(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(2, 8))

    @initium.module(Fused)
    def fused(m):
        return {
            "weight": initium.Layout("weight", (1,), (0,), blocks=(4, 4), block_names=("gate", "up"), block_axis=1, repeats=2)
        }

    weight = drawn(Fused(), Rule("**", 0), Rule("**", 1, gates="gate"), Rule("**", 2, gates=("up",)))["weight"]
    assert weight.tolist() == [[1, 1, 2, 2, 1, 1, 2, 2]] * 2


def test_a_gate_that_a_tensor_lacks_is_no_match_and_nowhere_an_error():
    model = nn.ModuleDict({"lstm": nn.LSTM(3, 4), "gru": nn.GRU(3, 4)})
    entries = plan(model, Rule("**", 0), Rule("**.bias_ih_l0", 1, gates="f"))
    assert entries["lstm.bias_ih_l0"].mean == 0.25
    assert entries["gru.bias_ih_l0"].mean == 0
    with pytest.raises(InitiumError, match="match nothing"):
        plan(nn.GRU(3, 4), Rule("**", 0), Rule("**", 1, gates="f"))


def test_parts_may_cover_all_but_must_not_leave_anything_unsaid():
    gates = [Rule("**", 0, gates="i"), Rule("**", 1, gates="fgo")]
    assert plan(nn.LSTM(3, 4, bias=False), *gates)["weight_hh_l0"].mean == 0.75
    with pytest.raises(InitiumError, match="claimed by no rule"):
        plan(nn.Linear(3, 6), Rule("bias", 0), Rule("weight", 1, rows=(0, 2)))
    with pytest.raises(InitiumError, match="claimed by no rule"):
        plan(nn.Linear(3, 6), Rule("**", Keep()), Rule("weight", 1, rows=(0, 2)))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Rule("a", 0, rows=(0, 1), gates="f"), "rows or of gates, not of both"),
        (lambda: Rule("a", 0, rows=3), "a rule's rows are a range"),
        (lambda: Rule("a", 0, rows=slice(0, 4, 2)), "a rule's rows are a range"),
        (lambda: plan(nn.Linear(3, 6), Rule("**", 0), Rule("weight", 1, rows=(0, 9))), "go from 0 to 6"),
        (lambda: plan(nn.Linear(3, 6), Rule("**", 0), Rule("weight", 1, rows="a:b")), "a range such as '0:64'"),
        (
            lambda: plan(nn.Linear(3, 6), Rule("**", 0), Rule("weight", Orthogonal()), Rule("weight", 1, rows=(0, 2))),
            "say gates=",
        ),
        (lambda: Parts(0, (("q", 1),))(4), "it is not packed"),
    ],
)
def test_bad_parts_get_a_sentence(make, sentence):
    with pytest.raises(InitiumError, match=sentence):
        make()


def test_parts_of_given_values_and_over_padding_rows():
    weight = drawn(
        nn.Linear(2, 3), Rule("**", 0), Rule("weight", Values(torch.arange(6.0).reshape(3, 2))), Rule("weight", 9, rows=(1, 2))
    )
    assert weight["weight"].tolist() == [[0, 1], [9, 9], [4, 5]]
    table = drawn(nn.Embedding(6, 2, padding_idx=1), Rule("**", 1), Rule("**", Normal(), rows=(0, 3)))["weight"]
    assert table[1].tolist() == [0, 0]
    assert table[3:].eq(1).all()


def test_a_plan_with_parts_is_saved_and_read(tmp_path):
    made = plan(
        nn.LSTM(3, 4), Rule("**", Normal()), Rule("weight_hh_*", Orthogonal(), gates="ifo"), Rule("bias_ih_*", 1, rows=(4, 8))
    )
    made.save(tmp_path / "plan.json")
    read = Plan.load(tmp_path / "plan.json")
    assert read == made
    assert read["weight_hh_l0"].initializer == made["weight_hh_l0"].initializer
    assert read.values("weight_hh_l0").equal(made.values("weight_hh_l0"))


def test_a_part_of_a_tensor_is_the_part_of_the_whole():
    made = plan(nn.LSTM(3, 4), Rule("**", Normal()), Rule("weight_hh_*", "uniform", gates="fo"))
    whole = made.values("weight_hh_l0")
    assert made.values("weight_hh_l0", 13, 41).equal(whole[13:41])


def test_on_a_lone_module_too():
    lstm = nn.LSTM(3, 4)
    lstm.apply(Recipe([Rule("**", 0), Rule(nn.LSTM, 1, gates="f", ndim=1)]))
    assert lstm.bias_ih_l0.tolist() == [0] * 4 + [1] * 4 + [0] * 8


def test_text_recipes_have_the_same_words():
    text = 'rules: [{where: "**", init: normal}, {where: "bias_ih_*", gates: f, init: 1}, {where: "weight_ih_l0", rows: "0:2", init: 0}]'
    read = parse_recipe(text, "mine.yaml")
    assert read.rules[1].gates == ("f",)
    assert read.rules[2].rows == "0:2"
    assert initium.plan(nn.LSTM(3, 4), read, seed=0)["weight_ih_l0"].program.parts[0] == (2, Constant(0).law_for((), None))
