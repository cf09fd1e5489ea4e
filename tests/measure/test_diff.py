"""Diff: any mix of plans, models and files; the first element that differs is named; the same is the same to the bit."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import initium
from initium import Normal, Recipe, Rule
from initium._errors import ArgumentError, ArgumentTypeError, FileError
from initium._measure.bits import compared, runs
from initium._measure.diff import diff
from initium._plan import Plan


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.emb = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.emb.weight


RULES = Recipe([*initium.recipe("orthogonal").rules, Rule("emb.weight", Normal(std=0.02))])


@pytest.fixture(name="sides")
def _sides(tmp_path: Path) -> dict[str, Plan | nn.Module | str | Path]:
    """The same weights in six forms."""
    model = Net()
    plan = initium.initialize(model, RULES, seed=3)
    plan.save(tmp_path / "plan.json")
    (tmp_path / "folder").mkdir()
    plan.write(tmp_path / "folder")
    save_file({key: value.clone() for key, value in model.state_dict().items()}, tmp_path / "model.safetensors")
    return {
        "plan": plan,
        "plan file": tmp_path / "plan.json",
        "model": model,
        "file": str(tmp_path / "model.safetensors"),
        "folder": tmp_path / "folder",
    }


def test_all_forms_of_the_same_weights_are_the_same(sides: dict[str, Plan]) -> None:
    for a, b in itertools.product(sides, sides):
        found = diff(sides[a], sides[b])
        assert found.same, f"{a} and {b}:\n{found}"
        assert not found
        assert len(found) == 0
        assert found.tensors >= 8


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
@pytest.mark.parametrize("sample", [None, 1, 50])
def test_a_file_of_another_dtype_is_the_same_plan(
    sides: dict[str, Plan], tmp_path: Path, dtype: str, sample: int | None
) -> None:
    sides["plan"].write(tmp_path / "x.safetensors", dtype=dtype)
    assert diff(sides["plan"], tmp_path / "x.safetensors", sample).same


def changed(path: Path, name: str, index: tuple[int, ...], by: float) -> None:
    values = load_file(path)
    values[name][index] += by
    save_file(values, path)


def test_the_first_element_that_differs_is_named(sides: dict[str, Plan], tmp_path: Path) -> None:
    changed(tmp_path / "model.safetensors", "emb.weight", (3, 2), 0.5)
    changed(tmp_path / "model.safetensors", "emb.weight", (4, 1), 1.0)
    for side in ("plan", "model", "folder"):
        for found in (diff(sides[side], sides["file"]), diff(sides["file"], sides[side])):
            assert bool(found)
            (entry,) = found
            assert (entry.name, entry.what, entry.index) == ("emb.weight", "values", (3, 2))
            assert entry.max_abs == pytest.approx(1.0)
    (entry,) = diff(sides["plan"], sides["file"])
    assert float(entry.b) - float(entry.a) == pytest.approx(0.5)
    (entry,) = diff(sides["file"], sides["plan"])
    assert float(entry.a) - float(entry.b) == pytest.approx(0.5)


def test_orthogonal_may_differ_in_the_last_place_and_no_more(sides: dict[str, Plan], tmp_path: Path) -> None:
    changed(tmp_path / "model.safetensors", "conv.weight", (0, 0, 0, 0), 1e-8)
    assert diff(sides["plan"], sides["file"]).same
    assert not diff(sides["model"], sides["file"]).same or torch.equal(
        load_file(tmp_path / "model.safetensors")["conv.weight"], sides["model"].conv.weight
    )
    changed(tmp_path / "model.safetensors", "conv.weight", (0, 0, 0, 0), 1e-3)
    assert not diff(sides["plan"], sides["file"]).same


def test_what_only_one_side_has(sides: dict[str, Plan], tmp_path: Path) -> None:
    values = load_file(tmp_path / "model.safetensors")
    values["extra"] = values.pop("norm.bias")
    save_file(values, tmp_path / "model.safetensors")
    for side in ("plan", "model", "folder"):
        found = {(entry.name, entry.what) for entry in diff(sides[side], sides["file"])}
        assert found == {("norm.bias", "only in a"), ("extra", "only in b")}
        found = {(entry.name, entry.what) for entry in diff(sides["file"], sides[side])}
        assert found == {("norm.bias", "only in b"), ("extra", "only in a")}


def test_shapes_and_dtypes(tmp_path: Path) -> None:
    plan = initium.plan(nn.Linear(3, 2), "he", seed=0)
    save_file({"weight": torch.zeros(3, 2), "bias": torch.zeros(2, dtype=torch.int64)}, tmp_path / "x.safetensors")
    found = diff(plan, tmp_path / "x.safetensors")
    assert [(e.name, e.what, e.a, e.b) for e in found] == [
        ("weight", "shape", "2×3", "3×2"),
        ("bias", "dtype", "float32", "int64"),
    ]
    found = diff(tmp_path / "x.safetensors", nn.Linear(3, 2))
    assert {(e.name, e.what) for e in found} == {("weight", "shape"), ("bias", "dtype")}


def test_plans_differ_in_seed_law_kind_shape() -> None:
    a = initium.plan(nn.Linear(3, 2), "he", seed=0)
    assert [(e.what, e.a, e.b) for e in diff(a, a.reseed(1))] == [("seed", "0", "1")]
    b = initium.plan(nn.Linear(3, 2), Recipe([Rule("weight", "xavier_normal"), Rule("bias", Normal())]), seed=0)
    assert [(e.name, e.what) for e in diff(a, b)] == [("weight", "law"), ("bias", "kind"), ("bias", "law")]
    c = initium.plan(nn.Linear(4, 2, bias=False), "he", seed=0)
    assert [(e.name, e.what) for e in diff(a, c)] == [("weight", "shape"), ("weight", "law"), ("bias", "only in a")]
    assert [(e.name, e.what) for e in diff(c, a)][-1] == ("bias", "only in b")
    assert a.diff(a).same


def test_the_rules_place_is_no_difference() -> None:
    a = initium.plan(nn.Linear(3, 2), Recipe([Rule("**", 0)]), seed=0)
    b = initium.plan(nn.Linear(3, 2), Recipe([Rule("weight", 0), Rule("bias", 0)]), seed=0)
    assert diff(a, b).same


def test_kept_tensors_are_unchecked_and_no_difference() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    plan = initium.plan(model, Recipe([Rule("weight", Normal()), Rule("bias", "keep")]), seed=0)
    plan.apply(model)
    found = diff(plan, model)
    assert found.same
    assert found.unchecked == ("bias",)
    assert "1 tensor is kept or derived" in str(found)


def test_parametrised_and_wrapped_models_are_compared_by_what_the_forward_pass_uses() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)))
    plan = initium.initialize(model, "he", seed=0)
    assert diff(plan, model).same
    assert diff(plan, nn.DataParallel(model)).same


def test_a_model_against_its_own_file_ignores_what_is_not_stored(tmp_path: Path) -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    model.register_buffer("mask", torch.ones(3), persistent=False)
    save_file({key: value.clone() for key, value in model.state_dict().items()}, tmp_path / "x.safetensors")
    assert diff(model, tmp_path / "x.safetensors").same
    assert diff(tmp_path / "x.safetensors", model).same


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (math.nan, math.nan, True),
        (0.0, -0.0, False),
        (math.inf, math.inf, True),
        (1.0, math.nan, False),
        (1.0, 1.0 + 2**-23, False),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
def test_equal_means_equal_bits_and_a_nan_equals_itself(a: float, b: float, same: bool, dtype: torch.dtype) -> None:
    left, right = torch.tensor([5.0, a], dtype=dtype), torch.tensor([5.0, b], dtype=dtype)
    gap = compared(left, lambda start, stop: right[start:stop], [(0, 2)], 0.0)
    assert (gap is None) == same
    if gap is not None:
        assert gap.first == 1


@pytest.mark.parametrize("numel", [1, 63, 64, 65, 1000, 10**12])
@pytest.mark.parametrize("sample", [1, 64, 65, 200, 5000])
def test_a_sample_has_the_ends_and_stays_in_the_tensor(numel: int, sample: int) -> None:
    if numel > 10**9 or sample < numel:
        stretches = runs(numel, sample, "w")
        assert stretches == runs(numel, sample, "w")
        assert all(0 <= start < stop <= numel for start, stop in stretches)
        assert all(before[1] < after[0] for before, after in itertools.pairwise(stretches))
        assert sum(stop - start for start, stop in stretches) <= sample + 64
        assert stretches[0][0] == 0
        if sample > 64:
            assert stretches[-1][1] == numel
    else:
        assert sum(stop - start for start, stop in runs(numel, sample, "w")) == numel


def test_a_sample_finds_a_difference_at_the_end(tmp_path: Path) -> None:
    plan = initium.plan(nn.Linear(1000, 100), "he", seed=0)
    plan.write(tmp_path / "x.safetensors")
    changed(tmp_path / "x.safetensors", "weight", (99, 999), 1.0)
    found = diff(plan, tmp_path / "x.safetensors", sample=128)
    assert [(e.name, e.index) for e in found] == [("weight", (99, 999))]
    assert found.elements <= 128 + 100


def test_screen_and_json(sides: dict[str, Tensor], tmp_path: Path) -> None:
    changed(tmp_path / "model.safetensors", "emb.weight", (3, 2), 0.5)
    found = diff(sides["plan"], sides["file"])
    assert str(found).splitlines()[-1].startswith("1 difference in 9 tensors, ")
    for width in (30, 60, 90):
        assert max(map(len, found.table(width).splitlines())) <= width
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (document["version"], document["same"], document["entries"][0]["index"]) == (1, False, [3, 2])
    assert str(diff(sides["plan"], sides["plan"])) == "the same: 9 tensors"


def test_bad_input(tmp_path: Path) -> None:
    plan = initium.plan(nn.Linear(3, 2), "he", seed=0)
    for sample in (0, -1, 1.5, True):
        with pytest.raises(ArgumentError, match="sample is a whole number ≥ 1"):
            diff(plan, plan, sample)  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match="a plan, a model or a path is compared, not int"):
        diff(plan, 3)  # type: ignore[arg-type]
    with pytest.raises(FileError, match="there is no such file"):
        diff(plan, tmp_path / "none.safetensors")
