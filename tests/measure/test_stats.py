"""Stats: the numbers are those of the elements in fp64, whatever the dtype, the pieces and the place they are read from."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import initium
from initium._errors import ArgumentTypeError, FileError
from initium._measure import sources as _tensor_sources
from initium._measure.stats import stats


def test_the_numbers_of_a_model() -> None:
    torch.manual_seed(0)
    model = nn.Linear(400, 64)
    plan = initium.initialize(model, "he", seed=0)
    found = stats(model, plan)
    weight, wide = found["weight"], model.weight.detach().double()
    assert weight.mean == pytest.approx(float(wide.mean()), abs=1e-15)
    assert weight.std == pytest.approx(float(wide.std(correction=0)), rel=1e-12)
    assert (weight.min, weight.max) == (float(wide.min()), float(wide.max()))
    assert weight.planned_std == plan["weight"].std
    assert weight.fan_in == 400
    assert weight.std_sqrt_fan_in == pytest.approx(math.sqrt(2), rel=0.02)
    assert (found["bias"].std, found["bias"].fan_in, found["bias"].planned_std) == (0.0, None, None)


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool], ids=str
)
def test_one_pass_in_pieces_is_the_whole(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    values = (torch.randn(1001) * 3 + 100).to(dtype)
    monkeypatch.setattr(_tensor_sources.chunks, "__defaults__", (64,))
    save_file({"w": values}, tmp_path / "w.safetensors")
    found, wide = stats(tmp_path / "w.safetensors")["w"], values.double()
    assert found.mean == pytest.approx(float(wide.mean()), rel=1e-12)
    assert found.std == pytest.approx(float(wide.std(correction=0)), rel=1e-12, abs=1e-12)
    assert (found.min, found.max, found.nan, found.inf) == (float(wide.min()), float(wide.max()), 0, 0)


def test_what_is_not_finite_is_counted_and_left_out(tmp_path: Path) -> None:
    save_file(
        {"a": torch.tensor([1.0, math.nan, math.inf, -math.inf, 3.0]), "b": torch.full((2,), math.nan)},
        tmp_path / "x.safetensors",
    )
    found = stats(tmp_path / "x.safetensors")
    assert (found["a"].mean, found["a"].std, found["a"].nan, found["a"].inf) == (2.0, 1.0, 1, 2)
    assert (found["b"].mean, found["b"].std, found["b"].min, found["b"].nan) == (None, None, None, 2)
    assert found.non_finite == 5
    assert str(found).endswith("5 elements of 2 tensors not finite, the first in a")
    assert "1 NaN 2 inf" in str(found)


def test_complex_ties_meta_empty_and_scalar_tensors() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c = nn.Parameter(torch.tensor([1 + 2j, 3 - 2j]))
            self.a = nn.Linear(2, 2, bias=False)
            self.b = nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight
            self.m = nn.Parameter(torch.empty(3, device="meta"))
            self.e = nn.Parameter(torch.empty(0, 3))
            self.register_buffer("s", torch.tensor(4))

    found = stats(Odd())
    assert (found["c"].mean, found["c"].std, found["c"].min, found["c"].max) == (1.0, math.sqrt(5), -2.0, 3.0)
    assert (found["b.weight"].tied_to, found["b.weight"].std) == ("a.weight", None)
    assert (found["m"].mean, found["e"].mean) == (None, None)
    assert (found["s"].mean, found["s"].shape) == (4.0, ())
    assert "tied to a.weight" in found.table(120)


def test_a_parametrised_weight_shows_what_the_forward_pass_uses() -> None:
    torch.manual_seed(0)
    model = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    found = stats(model)
    assert list(found) == ["weight", "bias"]
    assert found["weight"].std == pytest.approx(float(model.weight.detach().double().std(correction=0)), rel=1e-6)


def test_a_plan_brings_fans_and_stds_to_a_file(tmp_path: Path) -> None:
    plan = initium.plan(nn.Linear(100, 50), "xavier", seed=0)
    plan.write(tmp_path / "x.safetensors")
    plan.save(tmp_path / "plan.json")
    bare, beside = stats(tmp_path / "x.safetensors"), stats(tmp_path / "x.safetensors", tmp_path / "plan.json")
    assert (bare["weight"].fan_in, bare["weight"].planned_std) == (None, None)
    assert (beside["weight"].fan_in, beside["weight"].planned_std) == (100, plan["weight"].std)


def test_a_folder_is_its_files_or_those_of_its_index(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "1.safetensors")
    save_file({"b": torch.ones(2)}, tmp_path / "2.safetensors")
    assert sorted(stats(tmp_path)) == ["a", "b"]
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "1.safetensors"}}))
    assert list(stats(tmp_path)) == ["a"]
    index.write_text(json.dumps({"weight_map": {"a": "3.safetensors"}}))
    with pytest.raises(FileError, match=r"names 1 file that is not there: 3.safetensors"):
        stats(tmp_path)
    index.write_text("{}")
    with pytest.raises(FileError, match="is not an index: a mapping with weight_map"):
        stats(tmp_path)
    index.unlink()
    save_file({"a": torch.ones(2)}, tmp_path / "2.safetensors")
    with pytest.raises(FileError, match="a stands in two files"):
        stats(tmp_path)


def test_files_that_are_not_safetensors(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="has no safetensors file"):
        stats(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"x")
    for source in (tmp_path, tmp_path / "model.bin"):
        with pytest.raises(FileError, match="is a pickle, which can run code when it is read: save it as safetensors"):
            stats(source)
    (tmp_path / "a.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(FileError, match="is not a whole safetensors file"):
        stats(tmp_path / "a.safetensors")
    with pytest.raises(FileError, match=r"b.safetensors: there is no such file. Did you mean 'a.safetensors'\?"):
        stats(tmp_path / "b.safetensors")
    with pytest.raises(ArgumentTypeError, match="not int"):
        stats(3)  # type: ignore[arg-type]


def test_the_table_fits_and_the_dict_is_json(tmp_path: Path) -> None:
    save_file({"a.very.long.name.of.a.tensor": torch.tensor([1.0, math.inf])}, tmp_path / "x.safetensors")
    found = stats(tmp_path / "x.safetensors")
    for width in (20, 40, 60, 100):
        assert max(map(len, found.table(width).splitlines())) <= width
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["version"] == 1
    assert document["tensors"][0]["name"] == "a.very.long.name.of.a.tensor"
    assert repr(found).endswith("1 tensor, 1 element not finite>")
