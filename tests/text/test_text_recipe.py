"""Recipes as text: the words of Rule, read and written; every fault is file:line:column and the nearest word."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import initium
from initium import Constant, Keep, Normal, Recipe, Rule, Uniform
from initium._errors import ArgumentError, FileError
from initium._text.recipes import parse_recipe, read_recipe, recipe_text, write_recipe

GOOD = """\
# the example of the design
name: mine
knobs: {scale: "1e-2", width: 3}
roles: {"**.proj.weight": residual_out}
rules:
  - {where: "**.weight", type: "*Conv2d*", init: {normal: {std: "0.02 / sqrt(2 * depth)"}}}
  - {type: Linear, weight: xavier_normal, bias: 0}
  - type: Linear
    weight: {uniform: {a: -1e-4, b: 1e-4}}
    optional: true
  - {role: [weight, bias], init: "1e-4", ndim: [1, 2], shape: [null, 3], dtype: bfloat16, optional: true}
  - {type: LSTM, bias_ih_l0: 1, gates: f, optional: true}
  - {where: emb.weight, rows: 0:64, init: zeros, optional: true}
  - {where: "**", buffers: true, init: keep}
"""


def test_every_word_becomes_the_rules_keyword() -> None:
    recipe = parse_recipe(GOOD, "mine.yaml")
    assert (recipe.name, dict(recipe.knobs), dict(recipe.roles)) == (
        "mine",
        {"scale": 0.01, "width": 3},
        {"**.proj.weight": ("residual_out",)},
    )
    assert recipe.rules == (
        Rule("**.weight", Normal(std="0.02 / sqrt(2 * depth)"), type="*Conv2d*"),
        Rule(type="Linear", weight="xavier_normal", bias=0),
        Rule(type="Linear", weight=Uniform(-1e-4, 1e-4), optional=True),
        Rule(None, 1e-4, role=("weight", "bias"), ndim=(1, 2), shape=(None, 3), dtype="bfloat16", optional=True),
        Rule(type="LSTM", bias_ih_l0=1, gates="f", optional=True),
        Rule("emb.weight", "zeros", rows="0:64", optional=True),
        Rule("**", Keep(), buffers=True),
    )
    assert [rule.source for rule in recipe.rules] == [f"mine.yaml:{line}" for line in (6, 7, 8, 11, 12, 13, 14)]


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_read_of_write_is_the_recipe(tmp_path: Path, format: str) -> None:
    recipe = parse_recipe(GOOD, "mine.yaml")
    path = tmp_path / f"mine.{format}"
    write_recipe(recipe, path)
    assert read_recipe(path) == recipe
    assert initium.recipe(path) == recipe
    with pytest.raises(FileError, match="exists: say overwrite=True"):
        write_recipe(recipe, path)
    write_recipe(recipe, path, overwrite=True)


@pytest.mark.parametrize("name", ["he", "xavier", "lecun", "orthogonal", "normal", "torch", "resnet-2015", "xavier-all"])
@pytest.mark.parametrize("format", ["yaml", "json"])
def test_a_named_recipe_as_text_plans_the_same(name: str, format: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4))
    recipe = initium.recipe(name)
    read = parse_recipe(recipe_text(recipe, format), f"x.{format}")
    assert read.name == name
    assert initium.plan(model, read, seed=1) == initium.plan(model, recipe, seed=1)


def test_json_with_tabs_and_yaml_with_anchors_mean_what_they_say() -> None:
    rules = (Rule(type="Linear", weight=Normal(std=0.02), bias=0),)
    assert (
        parse_recipe(
            '{\n\t"rules": [\n\t\t{"type": "Linear", "weight": {"normal": {"std": 0.02}}, "bias": 0}]}', "a.json"
        ).rules
        == rules
    )
    anchored = "rules:\n- {type: Linear, weight: &small {normal: {std: 0.02}}, bias: 0}\n- {type: Conv2d, weight: *small}\n"
    assert parse_recipe(anchored, "a.yaml").rules == (*rules, Rule(type="Conv2d", weight=Normal(std=0.02)))


def test_plain_scalars_are_read_as_yaml_1_2() -> None:
    """YAML 1.1 would make 8 of 010, 90 of 1:30, and False of no."""
    found = parse_recipe("rules: [{where: no, init: 010}, {where: 'on', init: 1e-4}, {where: x, init: '1e-4'}]", "a.yaml")
    assert [(rule.where, rule.initializer) for rule in found.rules] == [
        ("no", initium.Constant(10)),
        ("on", initium.Constant(1e-4)),
        ("x", initium.Constant(1e-4)),
    ]


def test_the_core_schema_s_other_spellings() -> None:
    """YAML 1.2, 10.3.2: what Python users and other languages write."""
    rules = parse_recipe(
        "rules: [{where: x, optional: True, ndim: 0x2, init: 0o17}, {where: y, optional: FALSE, init: -.inf}]", "f.yaml"
    ).rules
    assert [(rule.optional, rule.ndim, rule.initializer) for rule in rules] == [
        (True, (2,), Constant(15)),
        (False, (), Constant(float("-inf"))),
    ]


def test_the_plan_names_the_line_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("rules:\n- {role: weight, init: xavier_normal}\n- {role: bias, init: 0}\n")
    plan = initium.plan(nn.Linear(3, 2), path, seed=0)
    assert (plan["weight"].source, plan["bias"].source) == (f"{path}:2", f"{path}:3")
    path.write_text("rules:\n- {where: '**', init: 0}\n- {where: head.*, init: 0}\n")
    with pytest.raises(initium.InitiumError, match=r"mine.yaml:3\)"):
        initium.plan(nn.Linear(3, 2), path, seed=0)


BAD = [
    ("", "1:1: a recipe is a mapping with the key rules, not nothing (null)"),
    ("- a", "1:1: a recipe is a mapping with the key rules, not a list"),
    ("rules: 3", "1:1: rules is a list of rules, not 3"),
    ("name: x", "1:1: rules is a list of rules, not nothing (null)"),
    ("rules: []\nname: [1]", "2:1: name is text, not a list"),
    ("ruls: []", "1:1: unknown key 'ruls'. Did you mean 'rules'?"),
    ("knobs: 3\nrules: []", "1:1: knobs is a mapping of names to numbers, not 3"),
    ("knobs: {a: b}\nrules: []", "1:9: a number is expected, not 'b'"),
    ("roles: 3\nrules: []", "1:1: roles is a mapping of globs to roles, not 3"),
    ("roles: {a: heed}\nrules: []", "1:9: no role is called 'heed'. Did you mean 'head'?"),
    ("rules: [3]", "1:9: a rule is a mapping, not 3"),
    ("rules: [{where: x}]", "1:9: the rule says nothing to do: add init"),
    ("rules: [{wher: x, init: 0}]", "1:10: unknown key 'wher'. Did you mean 'where'?"),
    ("rules: [{initializer: normal}]", "1:10: unknown key 'initializer'. Did you mean 'init'?"),
    ("rules: [{where: x, init: 0, weight: 1}]", "1:29: unknown key 'weight': a rule has either init or tensors"),
    ("rules: [{test: x, init: 0}]", "1:10: test= is a Python function and cannot be said in a file"),
    ("rules: [{bias.x: 0}]", "1:10: 'bias.x' is not a tensor's local name: full names go into where"),
    ("rules:\n- where: x\n  where: y\n  init: 0", "3:3: the key 'where' stands here a second time"),
    ("rules: [{where: x, init: normall}]", "1:20: no initializer is called 'normall'. Did you mean 'normal'?"),
    ("rules: [{where: x, init: {normal: {sd: 1}}}]", "1:36: normal has no argument 'sd'. Did you mean 'std'?"),
    (
        "rules: [{where: x, init: {normal: 0.02}}]",
        "1:27: normal's arguments are a mapping, not 0.02: write {normal: {std: 0.02}}",
    ),
    ("rules: [{where: x, init: {normal: {}, zeros: {}}}]", "1:20: an initializer has one name, not 2 (normal, zeros)"),
    ("rules: [{where: x, init: {normal: {std: -1}}}]", "1:27: normal expects std >= 0, got std=-1"),
    ("rules: [{where: x, init: {normal: {std: nan}}}]", "1:27: normal expects std >= 0, got std=nan"),
    ("rules: [{where: x, init: {normal: {std: '__import__(1)'}}}]", "1:27: '__import__(1)': the functions are"),
    ("rules: [{where: x, init: true}]", "1:20: an initializer is expected, not True: write 1 for the constant"),
    ("rules: [{where: x, init: null}]", "1:20: an initializer is expected, not nothing (null)"),
    ("rules: [{where: x, init: values}]", "1:20: values needs arguments: write {values: {…}}"),
    ("rules: [{where: '{a', init: 0}]", "1:10: the pattern '{a' has an open brace"),
    ("rules: [{where: 3, init: 0}]", "1:10: where is text, not 3"),
    ("rules: [{where: x, optional: yes, init: 0}]", "1:20: optional is true or false, not 'yes'"),
    ("rules: [{dtype: float23, init: 0}]", "1:10: no dtype is called 'float23'. Did you mean 'float32'?"),
    ("rules: [{role: wieght, init: 0}]", "1:10: no role is called 'wieght'. Did you mean 'weight'?"),
    ("rules: [{ndim: two, init: 0}]", "1:10: ndim is a whole number, not 'two'"),
    ("rules: [{shape: 3, init: 0}]", "1:10: shape is a list of sizes, null for any"),
    ("rules: [{rows: a, init: 0}]", "1:10: rows is a range, 0:64 or [0, 64], not 'a'"),
    ("rules: [", "1:9: not YAML: expected the node content"),
    ("rules: []\n\tb: 1", "2:1: not YAML: found character '\\t' that cannot start any token"),
    ("rules: []\n---\nrules: []", "2:1: not YAML: but found another document"),
    ("rules: &a [*a]", "1:8: an anchor that contains itself"),
    ("{[a]: 1}", "1:1: a key is a word"),
    ("name: \x07", "1:7: not YAML: it may not hold the character '\\x07'"),
    ("rules: " + "[" * 3000, "1:107: not YAML: nested too deeply"),
    (f"rules: [{{where: x, init: {'9' * 5000}}}]", "1:20: 99999999999999999999… is beyond what double precision holds"),
    ("rules: [{where: x, init: {normal: {std: 1e999}}}]", "1:36: 1e999 is beyond what double precision holds"),
    ("rules: [{where: x, init: {normal: {std: .inf}}}]", "1:27: normal expects std >= 0, got std=inf"),
    ("rules: [{where: x, init: {xavier_normal: {in_axes: abc}}}]", "expects an axis or a tuple of axes for in_axes, got 'abc'"),
    (
        "rules: [{type: torch.nn.Linear, init: 0}]",
        "1:9: a rule's type is a glob over class names, which have no dots: write 'Linear'",
    ),
    ("rules: [{where: x, shape: [-1, 3], init: 0}]", "1:9: a rule's shape has sizes ≥ 0, and None for any, not (-1, 3)"),
    ("rules: [{where: x, rows: 0:2, gates: v, init: 0}]", "1:9: a rule speaks of rows or of gates, not of both"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_fault_is_a_sentence_with_its_place(text: str, message: str) -> None:
    with pytest.raises(FileError) as caught:
        parse_recipe(text, "f.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("f.yaml:")
    assert "test_text_recipe" not in str(caught.value), "the place is in the file, not in the code that reads it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"rules": [', "f.json:1:12: not JSON: Expecting value"),
        ("rules: []", "f.json:1:1: not JSON: Expecting value"),
        ('{"rules": [],\n "rules": []}', "f.json:2:2: the key 'rules' stands here a second time"),
        ('{"rules": [\n\t{"wher": "x", "init": 0}]}', "f.json:2:3: unknown key 'wher'"),
        ("[" * 100_000, "f.json: not a recipe: nested too deeply"),
        ('{"rules": [{"where": "NaN", "init": NaN}]}', "f.json:1:37: not JSON: NaN stands in quotes there"),
        ('{"rules": [{"where": "**", "init": %s}]}' % ("9" * 5000), "f.json:1:28: 99999999999999999999… is beyond"),
    ],
)
def test_a_json_file_must_be_json(text: str, message: str) -> None:
    with pytest.raises(FileError) as caught:
        parse_recipe(text, "f.json")
    assert message in str(caught.value)


def test_anchors_that_multiply_are_stopped() -> None:
    """Ten aliases of ten aliases of …, the billion laughs: 200 bytes that would be 10⁹ values."""
    lines = ["- &a {where: '**', init: 0}"] + [
        f"- &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    with pytest.raises(FileError, match=r"f.yaml:\d:3: anchors make more than 100,000 values of this file"):
        parse_recipe("rules:\n" + "\n".join(lines), "f.yaml")


def test_a_byte_order_mark_and_the_line_ends_of_windows_mean_nothing(tmp_path: Path) -> None:
    for name, text in (
        ("a.yaml", "name: x\r\nrules:\r\n  - {where: '**', init: 0}\r\n"),
        ("a.json", '{"name": "x", "rules": []}'),
    ):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert initium.recipe(tmp_path / name).name == "x"


def test_a_tensor_may_be_called_self() -> None:
    (rule,) = parse_recipe("rules: [{type: Linear, self: 0}]", "f.yaml").rules
    assert [name for name, _ in rule.tensors] == ["self"]


def test_no_python_is_constructed() -> None:
    with pytest.raises(FileError):
        parse_recipe("rules: !!python/object/apply:os.system ['true']", "f.yaml")
    assert parse_recipe("rules: !!python/tuple []", "f.yaml").rules == ()  # a tag says nothing here


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    with pytest.raises(FileError, match=r"mne.yaml: there is no such file. Did you mean 'mine.yaml'\?"):
        initium.recipe(tmp_path / "mne.yaml")


def test_what_text_cannot_say() -> None:
    with pytest.raises(ArgumentError, match="has test=, a Python function"):
        recipe_text(Recipe([Rule("**", 0, test=lambda slot: True)]))
    with pytest.raises(ArgumentError, match="has a class and type="):
        recipe_text(Recipe([Rule(nn.Linear, 0, type="*Lin*")]))
    with pytest.raises(ArgumentError, match="written as yaml or json, not 'toml'"):
        recipe_text(Recipe([]), "toml")
