"""Checkpoints: the file is what apply writes, to the bit, in every dtype; it loads strictly; it is there whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

import initium
from initium import Normal, Recipe, Rule, Values
from initium._checkpoint import pieces
from initium._checkpoint.pieces import checked_dtype, count_bytes, header, laid_out
from initium._checkpoint.write import write_plan
from initium._errors import ArgumentError, FileError, PlanError, WriteError
from initium._text.plans import plan_digest


class Net(nn.Module):
    """Every kind of row: laws, made, packed, given, constants, integer buffers, a tie, kept and parametrised weights, a scalar, nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.lstm = nn.LSTM(4, 4)
        self.emb = nn.Embedding(5, 4, padding_idx=1)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.emb.weight
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
        self.scale = nn.Parameter(torch.tensor(3.0))
        self.nothing = nn.Parameter(torch.empty(0, 4))
        self.table = nn.Parameter(torch.arange(12.0).reshape(3, 4))
        self.register_buffer("kept", torch.arange(3.0))
        self.register_buffer("mask", torch.ones(2, dtype=torch.bool))
        self.register_buffer("passing", torch.ones(3), persistent=False)


RULES = Recipe(
    [
        *initium.recipe("orthogonal").rules,
        Rule("emb.weight", Normal(std=0.02)),
        Rule("table", Values(torch.arange(12.0).reshape(3, 4) / 7)),
    ]
)


def made() -> nn.Module:
    torch.manual_seed(0)
    return Net()


@pytest.mark.parametrize("dtype", [None, "float32", "bfloat16", "float16", "float64", torch.bfloat16])
@pytest.mark.parametrize("chunk", [1, 64, 1 << 24])
def test_the_file_is_what_apply_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any, chunk: int) -> None:
    monkeypatch.setattr(pieces, "CHUNK", chunk)
    model = made()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    plan = initium.plan(model, RULES, seed=3)
    path = write_plan(plan, tmp_path / "x.safetensors", dtype=dtype, values_from=model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), "the model is not touched"
    values, fresh = load_file(path), Net()
    fresh.load_state_dict(values, strict=True)
    plan.apply(model)
    wanted = model.state_dict()
    assert values.keys() == wanted.keys()
    for key, value in wanted.items():
        stored = value.to(checked_dtype(dtype)) if dtype is not None and value.is_floating_point() else value
        assert values[key].dtype == stored.dtype
        if dtype == "float64":  # what is made whole has more places there; rounded to fp32 they are the same weights
            stored, values[key] = value, values[key].to(value.dtype)
        assert torch.equal(values[key], stored), key


def test_the_header_says_what_it_is_and_every_tensor_is_aligned(tmp_path: Path) -> None:
    plan = initium.plan(nn.Linear(3, 2), "he", seed=7)
    path = plan.write(tmp_path / "x.safetensors", dtype="bf16")
    with safe_open(str(path), framework="pt") as file:
        assert file.metadata() == {
            "format": "pt",
            "initium_plan": plan_digest(plan),
            "initium_seed": "7",
            "initium_dtype": "bfloat16",
            "initium_stream": "1",
        }
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    fields = json.loads(data[8 : 8 + length])
    del fields["__metadata__"]
    assert all(one["data_offsets"][0] % 2 == 0 for one in fields.values())
    assert max(one["data_offsets"][1] for one in fields.values()) == len(data) - 8 - length


def test_wide_elements_come_first() -> None:
    model = made()
    sizes = [piece.dtype.itemsize for piece in laid_out(initium.plan(model, RULES, seed=0), None, model)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(header([], {})) % 8 == 0


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    plan = initium.plan(nn.Linear(30, 20), "he", seed=7)
    a, b = plan.write(tmp_path / "a.safetensors"), plan.write(tmp_path / "b.safetensors")
    assert a.read_bytes() == b.read_bytes()
    assert plan.reseed(8).write(tmp_path / "c.safetensors").read_bytes() != a.read_bytes()


def test_a_loaded_plan_writes_the_same_file_without_the_model(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(30, 20), nn.LSTM(4, 4))
    plan = initium.plan(model, "orthogonal", seed=7)
    plan.save(tmp_path / "plan.json")
    a = plan.write(tmp_path / "a.safetensors")
    b = initium.Plan.load(tmp_path / "plan.json").write(tmp_path / "b.safetensors")
    assert a.read_bytes() == b.read_bytes()
    nn.Sequential(nn.Linear(30, 20), nn.LSTM(4, 4)).load_state_dict(load_file(a), strict=True)


def test_complex_weights(tmp_path: Path) -> None:
    model = nn.Linear(4, 3, dtype=torch.complex64)
    plan = initium.plan(model, Recipe([Rule("weight", Normal()), Rule("bias", 1 + 2j)]), seed=0)
    try:
        values = load_file(plan.write(tmp_path / "x.safetensors", dtype="bfloat16"))
    except Exception as error:
        if "C64" in str(error):
            pytest.skip("this safetensors has no complex numbers")
        raise
    plan.apply(model)
    assert all(torch.equal(values[key], value) for key, value in model.state_dict().items())
    wide = nn.Linear(4, 3, dtype=torch.complex128)
    with pytest.raises(WriteError, match="weight is complex128, which safetensors does not hold"):
        initium.plan(wide, Recipe([Rule("**", Normal())]), seed=0).write(tmp_path / "y.safetensors")
    assert not (tmp_path / "y.safetensors").exists()


def test_a_captured_plan_of_a_parametrised_weight_is_written_by_its_originals(tmp_path: Path) -> None:
    def make() -> nn.Module:
        return nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))

    _, plan = initium.capture(make, seed=1)
    values = load_file(plan.write(tmp_path / "x.safetensors"))
    wanted = initium.build(make, seed=1).state_dict()
    assert values.keys() == wanted.keys()
    assert all(torch.equal(values[key], wanted[key]) for key in wanted)


def test_a_folder_is_made_for_the_file_and_goes_again_when_it_fails(tmp_path: Path) -> None:
    plan = initium.plan(nn.Linear(3, 2), "he", seed=0)
    assert plan.write(tmp_path / "out") == tmp_path / "out" / "model.safetensors"
    assert plan.write(tmp_path / "out", overwrite=True) == tmp_path / "out" / "model.safetensors"

    def fails(done: int, total: int) -> None:
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        plan.write(tmp_path / "new", progress=fails)
    with pytest.raises(ValueError, match="stop"):
        plan.write(tmp_path / "out", overwrite=True, progress=fails)
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["model.safetensors", "out"]


def test_progress_counts_the_bytes(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    initium.plan(nn.Linear(30, 20), "he", seed=0).write(tmp_path / "x.safetensors", progress=lambda *now: seen.append(now))
    assert seen[-1] == (4 * 620, 4 * 620)
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (28, "the disk is full"),
        (13, "permission denied"),
        (30, "the file system is read-only"),
        (122, "the disk quota is used up"),
    ],
)
def test_what_the_disk_refuses_is_a_sentence_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    plan = initium.plan(nn.Linear(3, 2), "he", seed=0)
    path = plan.write(tmp_path / "x.safetensors")
    before = path.read_bytes()

    def fails(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(FileError, match=f"x.safetensors cannot be written: {message}; nothing was left behind"):
        plan.reseed(1).write(path, overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_too_little_space_is_known_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 10

    monkeypatch.setattr(pieces.shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(FileError, match=r"the checkpoint needs 32 bytes, and .* has 10 bytes free: the disk is too full"):
        initium.plan(nn.Linear(3, 2), "he", seed=0).write(tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    plan = initium.plan(nn.Linear(3, 2), "he", seed=0)
    path = plan.write(tmp_path / "x.safetensors")
    (tmp_path / "file").write_text("")
    for target, error, message in [
        (path, FileError, r"x.safetensors exists: say overwrite=True \(--force on the command line\)"),
        (tmp_path / "x.bin", ArgumentError, "a checkpoint is a file that ends in .safetensors, or a folder"),
        (tmp_path / "no" / "x.safetensors", FileError, "there is no folder"),
        (tmp_path / "no" / "out", FileError, "cannot be made: there is no folder"),
        (tmp_path / "file", FileError, "cannot be made: it is a file"),
    ]:
        with pytest.raises(error, match=message):
            plan.write(target)
    with pytest.raises(ArgumentError, match="weights cannot be written as bfloat17. Did you mean 'bfloat16'?"):
        plan.write(tmp_path / "y.safetensors", dtype="bfloat17")
    with pytest.raises(ArgumentError, match="weights cannot be written as int8"):
        plan.write(tmp_path / "y.safetensors", dtype="int8")


def test_values_that_nobody_has(tmp_path: Path) -> None:
    model, target = made(), tmp_path / "x.safetensors"
    plan = initium.plan(model, RULES, seed=0)
    with pytest.raises(PlanError, match="and the plan does not hold the values:\n(.|\n)*kept(.|\n)*say values_from=model"):
        plan.write(target)


def test_values_from_another_model_or_from_meta(tmp_path: Path) -> None:
    plan = initium.plan(nn.Embedding(3, 2), "he", seed=0)
    target = tmp_path / "x.safetensors"
    with pytest.raises(PlanError, match=r"weight has shape \(4, 2\) in values_from and \(3, 2\) in the plan"):
        plan.write(target, values_from=nn.Embedding(4, 2))
    with pytest.raises(PlanError, match="weight is kept as constructed, and values_from has it on meta"):
        plan.write(target, values_from=nn.Embedding(3, 2, device="meta"))
    assert list(tmp_path.iterdir()) == []


def test_a_state_dict_that_holds_more_than_tensors(tmp_path: Path) -> None:
    class Extra(nn.Linear):
        def get_extra_state(self) -> dict[str, int]:
            return {"steps": 3}

        def set_extra_state(self, state: object) -> None:
            pass

    model = Extra(3, 2)
    with pytest.raises(WriteError, match="1 value of the state_dict is no tensor(.|\n)*_extra_state"):
        initium.plan(model, "he", seed=0).write(tmp_path / "x.safetensors", values_from=model)


def test_a_killed_run_leaves_no_file_under_the_name(tmp_path: Path) -> None:
    """Killed outright in the middle of writing: the target is not there, and the next run is not disturbed by what is left."""
    target = tmp_path / "x.safetensors"
    code = (
        "import time, initium, torch.nn as nn\n"
        f"initium.plan(nn.Linear(64, 64), 'he', seed=0).write({str(target)!r}, progress=lambda *_: (print('on', flush=True), time.sleep(60)))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert not target.exists()
    initium.plan(nn.Linear(64, 64), "he", seed=0).write(target)
    assert load_file(target)["weight"].shape == (64, 64)


def test_memory_stays_small(tmp_path: Path) -> None:
    """200 MB are written with a fraction of that held: peak of a fresh process beside one that writes next to nothing."""
    code = (
        "import resource, sys, initium, torch, torch.nn as nn\n"
        "with torch.device('meta'): model = nn.Linear(int(sys.argv[1]), 1000, bias=False)\n"
        "initium.plan(model, 'he', seed=0).write(sys.argv[2])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for size in ("10", "50000"):
        run = subprocess.run(
            [sys.executable, "-c", code, size, str(tmp_path / f"{size}.safetensors")],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(run.stdout) / 1024)
    assert (tmp_path / "50000.safetensors").stat().st_size > 200e6
    assert peaks[1] - peaks[0] < 100, peaks


def test_sizes_in_words() -> None:
    assert [count_bytes(n) for n in (5, 4400, 4_400_000_000)] == ["5 bytes", "4.4 kB", "4.4 GB"]
