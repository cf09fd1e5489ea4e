"""Plans as text: what is loaded equals what was saved and draws the same bits; what is malformed is a sentence with its place."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import initium
from initium import Normal, Orthogonal, Recipe, Rule, TruncNormal, Values
from initium import _laws as laws
from initium._entry import Decision, Row
from initium._errors import ArgumentError, FileError
from initium._plan import Plan
from initium._programs import Blocks, Given, Program, Renamed
from initium._text.codec import initializer_form, initializer_of, program_form, program_of
from initium._text.forms import number_form, number_of
from initium._text.places import place_of, places
from initium._text.plans import decode_plan, encode_plan, plan_digest

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
STD = st.floats(0, 2.0**100, width=32)


def net() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 4), nn.LSTM(4, 4), nn.Embedding(5, 4, padding_idx=1)
    )
    model.add_module("tied", nn.Embedding(5, 4))
    model.tied.weight = model[4].weight
    return model


def rich_plan() -> Plan:
    """One plan with every kind of program: laws, a quantile table, blocks, made tensors, small and large given values, kept, tied."""
    torch.manual_seed(1)
    rules = [
        *initium.recipe("orthogonal").rules,
        Rule("0.weight", Values(torch.randn(4, 3, 3, 3))),
        Rule("2.weight", Values(torch.randn(4, 4, dtype=torch.float64))),
        Rule("3.weight_ih_l0", TruncNormal(std=0.02, bounds=(5, 6))),
        Rule("4.weight", Normal(std="1 / sqrt(numel)")),
    ]
    return initium.plan(net(), Recipe(rules, name="rich"), seed=2**64 - 1)


def test_a_loaded_plan_equals_the_saved_one_and_draws_the_same_bits(tmp_path: Path) -> None:
    plan = rich_plan()
    plan.save(tmp_path / "plan.json")
    loaded = Plan.load(tmp_path / "plan.json")
    assert loaded == plan
    assert (loaded.seed, loaded.recipe, list(loaded)) == (plan.seed, "rich", list(plan))
    for name, entry in plan.items():
        assert str(loaded[name].initializer) == str(entry.initializer)
        assert (loaded[name].rule, loaded[name].source, loaded[name].fan_in) == (entry.rule, entry.source, entry.fan_in)
        if entry.program is not None:
            assert torch.equal(loaded.values(name), plan.values(name)), name
    assert plan_digest(loaded) == plan_digest(plan)


def test_the_text_is_stable_and_has_the_fields_of_an_entry(tmp_path: Path) -> None:
    plan = rich_plan()
    for file in ("a.json", "b.json"):
        plan.save(tmp_path / file)
    text = (tmp_path / "a.json").read_text()
    assert text.replace("a.json", "b.json") == (tmp_path / "b.json").read_text()
    Plan.load(tmp_path / "a.json").save(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == text
    document = json.loads(text)
    assert document["version"] == 1
    wanted = {
        "name",
        "key",
        "shape",
        "dtype",
        "kind",
        "initializer",
        "mean",
        "std",
        "fan_in",
        "fan_out",
        "role",
        "rule",
        "source",
        "tied_to",
    }
    assert all(wanted <= set(entry) for entry in document["entries"])
    assert {entry["kind"] for entry in document["entries"]} == {"drawn", "constant", "tied"}
    assert next(e for e in document["entries"] if e["kind"] == "tied")["tied_to"] == "4.weight"


def test_golden_text_of_a_small_plan() -> None:
    """Two tensors as they stand in a review. A change here changes every plan file that users keep."""
    rows = [
        Row(
            "w",
            "w",
            Decision((2, 3), torch.float32, "drawn", Normal(0.5), laws.Normal(0.0, 0.5), 3, 2, "weight", "r[0] 'w'", (), "f:1"),
        ),
        Row(
            "b",
            "b",
            Decision((2,), torch.bfloat16, "kept", initium.Keep(), None, None, None, "bias", "r[1] 'b'", ("r[0] '*'",), "f:2"),
        ),
    ]
    assert encode_plan(Plan(rows, 7, recipe="r", notes=["a note"])) == (
        '{\n"version": 1,\n"stream": 1,\n"seed": 7,\n"recipe": "r",\n"prefix": "",\n"notes": ["a note"],\n"entries": [\n'
        '{"name": "w", "key": "w", "shape": [2, 3], "dtype": "float32", "kind": "drawn",\n'
        ' "initializer": {"normal": {"std": 0.5}}, "mean": 0.0, "std": 0.5, "fan_in": 3, "fan_out": 2,\n'
        ' "program": {"normal": {"mean": 0.0, "std": 0.5}},\n'
        ' "role": "weight", "rule": "r[0] \'w\'", "source": "f:1", "tied_to": null},\n'
        '{"name": "b", "key": "b", "shape": [2], "dtype": "bfloat16", "kind": "kept",\n'
        ' "initializer": "keep", "mean": null, "std": null, "fan_in": null, "fan_out": null,\n'
        ' "role": "bias", "rule": "r[1] \'b\'", "source": "f:2", "tied_to": null, "overridden": ["r[0] \'*\'"]}\n]\n}\n'
    )


def test_the_digest_sees_what_is_drawn_and_not_where_rules_stand() -> None:
    def of(std: float, seed: int = 0, source: str = "") -> str:
        return plan_digest(
            Plan([Row("w", "w", Decision((2,), torch.float32, "drawn", None, laws.Normal(0, std), source=source))], seed)
        )

    assert of(1.0) == of(1.0, source="elsewhere:3")
    assert len({of(1.0), of(2.0), of(1.0, seed=1)}) == 3


LAWS = st.one_of(
    st.builds(laws.Constant, st.one_of(FINITE, st.integers(-9, 9), st.complex_numbers(max_magnitude=1e9))),
    st.builds(lambda a, d: laws.Uniform(a, a + d), st.floats(-1e3, 1e3), st.floats(0, 1e3)),
    st.builds(laws.Normal, FINITE, STD),
    st.builds(lambda m, s: laws.truncated(m, s, m - 2 * s, math.inf), st.floats(-10, 10), st.floats(0.1, 10)),
)
PROGRAMS = st.recursive(
    LAWS,
    lambda inner: st.one_of(
        st.builds(lambda parts: Blocks(0, tuple(parts)), st.lists(st.tuples(st.integers(1, 9), inner), min_size=1, max_size=3)),
        st.builds(Renamed, st.text(max_size=5), inner, st.sampled_from(["values", "other"])),
    ),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None)
@given(PROGRAMS)
def test_decode_of_encode_is_the_program(program: Program) -> None:
    assert program_of(json.loads(json.dumps(program_form(program), allow_nan=False))) == program


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool, torch.complex64], ids=str
)
def test_given_values_of_every_dtype_keep_their_bits(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.randn(6).to(dtype) if dtype != torch.bool else torch.tensor([True, False, True])
    found = program_of(json.loads(json.dumps(program_form(Given(values)))))
    assert isinstance(found, Given)
    assert found.values.dtype == dtype
    assert torch.equal(found.values, values)


def test_given_infinities_survive() -> None:
    values = torch.tensor([math.inf, -math.inf, -0.0])
    found = program_of(json.loads(json.dumps(program_form(Given(values)), allow_nan=False)))
    assert isinstance(found, Given)
    assert torch.equal(found.values.view(torch.int32), values.view(torch.int32))


@pytest.mark.parametrize("x", [0, -0.0, 1e-45, 1 / 3, math.inf, -math.inf, 2**60, 1 + 2j])
def test_numbers_are_exact(x: complex) -> None:
    assert repr(number_of(json.loads(json.dumps(number_form(x), allow_nan=False)))) == repr(x)


@pytest.mark.parametrize(
    ("initializer", "form"),
    [
        (initium.Constant(0), 0),
        (initium.Zeros(), "zeros"),
        (initium.XavierNormal(), "xavier_normal"),
        (Normal(std=0.02), {"normal": {"std": 0.02}}),
        (Normal(std="0.02 / sqrt(2 * depth)"), {"normal": {"std": "0.02 / sqrt(2 * depth)"}}),
        (TruncNormal(std=0.02, bounds=(-3, math.inf)), {"trunc_normal": {"std": 0.02, "bounds": [-3.0, "inf"]}}),
        (Orthogonal(gain=2), {"orthogonal": {"gain": 2}}),
        (initium.KaimingUniform(a=0.1, mode="fan_out"), {"kaiming_uniform": {"a": 0.1, "mode": "fan_out"}}),
        (initium.VarianceScaling(in_axes=(0, 1)), {"variance_scaling": {"in_axes": [0, 1]}}),
        (initium.Keep(), "keep"),
    ],
    ids=str,
)
def test_initializers_have_a_text_form(initializer: initium.Initializer, form: object) -> None:
    assert initializer_form(initializer) == form
    assert initializer_of(form) == initializer


def test_a_class_without_a_name_cannot_be_written() -> None:
    class Mine(initium.Initializer):
        pass

    with pytest.raises(ArgumentError, match="Mine cannot be written as text: give the class a name"):
        initializer_form(Mine())


TEXT = encode_plan(initium.plan(nn.Linear(8, 2), "he", seed=3))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"version": 1', '"version": 2', "f.json:2:1: version 2: this initium reads plans of version 1"),
        ('"stream": 1', '"stream": 9', "f.json:3:1: stream 9: this initium draws stream version 1"),
        ('"seed": 3', '"seed": "x"', "f.json:4:1: a seed is a whole number, not 'x'"),
        ('"seed": 3', '"seed": -99999999999999999999', "f.json:4:1: seed -99999999999999999999 is out of range"),
        ('"recipe": "he",', "", "f.json:1:1: recipe is missing"),
        ('"recipe": "he"', '"recipe": 3', "f.json:5:1: recipe is text, not 3"),
        ('"recipe"', '"resipe"', "unknown key 'resipe'. Did you mean 'recipe'?"),
        ('"drawn"', '"drwan"', "f.json:9:74: no kind is called 'drwan'. Did you mean 'drawn'?"),
        ('"float32"', '"float23"', "no dtype is called 'float23'. Did you mean 'float32'?"),
        ('"shape": [2, 8]', '"shape": [2, 0.5]', "a size is a whole number, not 0.5"),
        ('"kaiming_normal"', '"kaming_normal"', "no initializer is called 'kaming_normal'. Did you mean 'kaiming_normal'?"),
        ('{"normal": {', '{"norml": {', "no program is called 'norml'. Did you mean 'normal'?"),
        ('"std": 0.5}', '"std": -1}', "normal expects std >= 0, got std=-1"),
        ('"std": 0.5}', '"std": "x"}', "a number is expected, not 'x'"),
        ('"std": 0.5, "fan', '"std": 0.25, "fan', "std says 0.25 and the program 0.5"),
        ('"name": "bias"', '"name": "weight"', "the name 'weight' stands here a second time"),
        ('"name": "bias"', '"name": "bias", "name": "b"', "f.json:13:18: the key 'name' stands here a second time"),
        ("]\n}\n", "", "the text ends here, in the middle: it was cut off"),
        ('"notes": []', '"notes": nul', "f.json:7:10: not JSON: Expecting value"),
        (TEXT, "[]", "f.json:1:1: a plan is a mapping with"),
    ],
)
def test_a_malformed_file_is_a_sentence_with_its_place(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(FileError) as caught:
        decode_plan(TEXT.replace(old, new, 1), "f.json")
    assert message in str(caught.value)
    assert str(caught.value).startswith("f.json:")


@pytest.mark.parametrize("cut", range(1, len(TEXT) - 2, 37))
def test_a_truncated_file_is_refused_wherever_it_ends(cut: int) -> None:
    with pytest.raises(FileError, match=r"^f.json:\d+:\d+: "):
        decode_plan(TEXT[:cut], "f.json")


@pytest.mark.parametrize(
    "program", [3, [], {}, {"made": 1}, {"blocks": {"axis": 0, "parts": 1}}, {"given": {}}, {"computed": {}}, {"renamed": []}]
)
def test_a_program_of_any_shape_is_a_sentence(program: object) -> None:
    text = TEXT.replace('{"normal": {"mean": 0.0, "std": 0.5}}', json.dumps(program), 1)
    with pytest.raises(FileError, match=r"^f.json:11:\d+: "):
        decode_plan(text, "f.json")


def test_a_file_that_is_no_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(b"\xff\xfe")
    with pytest.raises(FileError, match="byte 0 is not UTF-8"):
        Plan.load(tmp_path / "plan.json")
    with pytest.raises(FileError, match=r"plam.json: there is no such file. Did you mean 'plan.json'\?"):
        Plan.load(tmp_path / "plam.json")
    with pytest.raises(FileError, match="it is a folder"):
        Plan.load(tmp_path)


def test_given_values_beside_the_text_are_checked(tmp_path: Path) -> None:
    rich_plan().save(tmp_path / "plan.json")
    beside = tmp_path / "plan.json.safetensors"
    data = bytearray(beside.read_bytes())
    data[-1] ^= 1
    beside.write_bytes(data)
    with pytest.raises(FileError, match="their hash differs"):
        Plan.load(tmp_path / "plan.json")
    beside.unlink()
    with pytest.raises(FileError, match="cannot be read"):
        Plan.load(tmp_path / "plan.json")
    with pytest.raises(FileError, match="write it with Plan.save"):
        decode_plan(encode_plan(rich_plan()), "f.json")


def test_saving_leaves_nothing_behind_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plan.json"
    path.write_text("before")
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(FileError, match="cannot be written: the disk is full; nothing was left behind"):
        initium.plan(nn.Linear(3, 2), "he", seed=3).save(path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("plan.json", "before")]


def test_places_of_every_value() -> None:
    text = '{"a": [1, {"b": "x]"}],\n "c": {}}'
    assert [path for path, _ in places(text)] == [(), ("a",), ("a", 0), ("a", 1), ("a", 1, "b"), ("c",)]
    assert place_of(text, ("a", 1, "b")) == (1, 12)
    assert place_of(text, ("c", "missing")) == (2, 2)


def test_a_captured_plan_is_saved_and_loaded(tmp_path: Path) -> None:
    _, plan = initium.capture(nn.Linear, 8, 4, seed=0)
    plan.save(tmp_path / "plan.json")
    loaded = Plan.load(tmp_path / "plan.json")
    assert loaded == plan
    assert [str(entry.initializer) for entry in loaded.values()] == [str(entry.initializer) for entry in plan.values()]
