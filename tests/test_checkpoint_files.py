"""Checkpoints of several files: what the libraries load, by any number of processes, through any kill, to the same bytes."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import nn

import initium
from initium import Normal, Rule
from initium._checkpoint import files
from initium._checkpoint.files import bytes_of, part_of, shards_of
from initium._checkpoint.pieces import laid_out
from initium._errors import ArgumentError, FileError
from initium._files import host
from initium.cli import main

RULES = [Rule("**", Normal()), Rule("**.bias", 0)]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(40, 8)
        self.h = nn.ModuleList(nn.Linear(8, 8) for _ in range(6))
        self.head = nn.Linear(8, 40, bias=False)
        self.head.weight = self.emb.weight
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("passing", torch.ones(3), persistent=False)


def planned(seed: int = 1) -> initium.Plan:
    return initium.plan(Net(), [*RULES, Rule("steps", 3, buffers=True)], seed=seed)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return planned().write(tmp_path / "whole", max_shard_size=600)


def test_the_files_hold_what_apply_writes_and_the_index_says_where(whole: Path) -> None:
    index = json.loads((whole / "model.safetensors.index.json").read_text())
    model = Net()
    planned().apply(model)
    state = model.state_dict()
    assert index["weight_map"].keys() == state.keys(), "no buffer that a state_dict lacks; both names of a tie"
    assert index["metadata"]["total_size"] == sum(t.numel() * t.element_size() for t in state.values())
    names = sorted(set(index["weight_map"].values()))
    assert names == [f"model-{i:05}-of-{len(names):05}.safetensors" for i in range(1, len(names) + 1)]
    for name in names:
        for key, tensor in load_file(whole / name).items():
            assert index["weight_map"][key] == name
            assert torch.equal(tensor, state[key])
    assert initium.diff(whole, planned()).same
    assert sorted(path.name for path in whole.iterdir()) == [*names, "model.safetensors.index.json"]


def test_no_file_is_larger_than_asked_unless_one_tensor_is() -> None:
    shards = shards_of(laid_out(planned(), None, None, sort=False), 600)
    assert all(shard.nbytes <= 600 or len(shard.pieces) == 1 for shard in shards)
    assert all(a.nbytes + b.pieces[0].nbytes > 600 or a.nbytes > 600 for a, b in itertools.pairwise(shards))


def test_what_fits_into_one_file_is_one_file_without_an_index(tmp_path: Path) -> None:
    path = planned().write(tmp_path / "one", max_shard_size="5GB")
    assert path == tmp_path / "one" / "model.safetensors"
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]
    assert initium.diff(path, planned()).same


@pytest.mark.parametrize("n", [2, 3, 20])
def test_any_number_of_parts_in_any_order_gives_the_same_bytes(whole: Path, tmp_path: Path, n: int) -> None:
    parts = list(range(1, n + 1))
    random.Random(n).shuffle(parts)
    for i in parts:
        assert not (tmp_path / "parts" / "model.safetensors.index.json").exists() or i > 13
        planned().write(tmp_path / "parts", max_shard_size=600, part=(i, n) if i % 2 else f"{i}/{n}")
    assert contents(tmp_path / "parts") == contents(whole)


def test_an_equal_file_is_left_alone_and_another_is_refused(whole: Path, tmp_path: Path) -> None:
    before, times = contents(whole), {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    planned().write(whole, max_shard_size=600)
    assert times == {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    for plan, options, message in [
        (
            planned(2),
            {"max_shard_size": 600},
            r"00001-of-\d+.safetensors exists and is of seed 1, not 2: write to another folder",
        ),
        (
            planned(),
            {"max_shard_size": 600, "dtype": "bfloat16"},
            r"of dtype as planned, not bfloat16|holds another checkpoint",
        ),
        (planned(), {"max_shard_size": 2000}, r"holds another checkpoint \(model-00001-of-"),
        (planned(), {"max_shard_size": "5GB"}, r"holds another checkpoint \(model-00001-of-"),
        (planned(), {}, r"holds a checkpoint of several files"),
    ]:
        with pytest.raises(FileError, match=message):
            plan.write(whole, **options)  # type: ignore[arg-type]
    assert contents(whole) == before
    planned(2).write(whole, max_shard_size=2000, overwrite=True)
    assert contents(whole) == contents(planned(2).write(tmp_path / "again", max_shard_size=2000)), "nothing of the old is left"


def test_a_damaged_file_is_refused_and_a_foreign_one_described(whole: Path) -> None:
    first = next(whole.glob("model-00001-*"))
    data = first.read_bytes()
    first.write_bytes(data[:-1])
    with pytest.raises(FileError, match="exists and is no whole safetensors file"):
        planned().write(whole, max_shard_size=600)
    first.unlink()
    planned().write(whole, max_shard_size=600)
    assert first.read_bytes() == data


def test_kept_values_that_have_changed_are_another_checkpoint(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 4))
    plan = initium.plan(model, "he", seed=0)
    plan.write(tmp_path / "x", max_shard_size=70, values_from=model)
    plan.write(tmp_path / "x", max_shard_size=70, values_from=model)
    with torch.no_grad():
        model[0].weight[1, 1] += 1  # type: ignore[operator, index]
    with pytest.raises(FileError, match="holds other kept values"):
        plan.write(tmp_path / "x", max_shard_size=70, values_from=model)


def test_a_full_disk_is_a_sentence_and_the_whole_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.fsync, []

    def fails(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(
        FileError, match="the disk is full; nothing was left behind; files that are whole stay, and the same command"
    ):
        planned().write(tmp_path / "x", max_shard_size=600)
    assert [path.name[:11] for path in sorted((tmp_path / "x").iterdir())] == ["model-00001", "model-00002"]
    monkeypatch.undo()
    planned().write(tmp_path / "x", max_shard_size=600)
    assert initium.diff(tmp_path / "x", planned()).same


def test_temporary_files_of_dead_runs_go_and_of_living_ones_stay(whole: Path) -> None:
    name = next(whole.glob("model-00001-*")).name
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = whole / f".{name}.{host()}.{dead.pid}.tmp"
    alive = whole / f".{name}.{host()}.{os.getppid()}.tmp"
    elsewhere, old = whole / f".{name}.other.1.tmp", whole / f".{name}.other.2.tmp"
    other = whole / f".notes.{host()}.{dead.pid}.tmp"
    for path in (gone, alive, elsewhere, old, other):
        path.write_text("x")
    os.utime(old, (time.time() - 2 * files._STALE,) * 2)
    planned().write(whole, max_shard_size=600)
    assert [path.exists() for path in (gone, alive, elsewhere, old, other)] == [False, True, True, False, True]


def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(Path(__file__).parents[1] / "tools" / "kill_and_resume.py"), "8", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(run.stdout.split()[0]) >= 8


@pytest.mark.parametrize(
    ("said", "bytes_"), [("5GB", 5 * 10**9), ("500 MB", 5 * 10**8), ("1.5GiB", 3 << 29), (7, 7), ("12", 12), ("2kb", 2000)]
)
def test_sizes(said: Any, bytes_: int) -> None:
    assert bytes_of(said) == bytes_


@pytest.mark.parametrize("said", ["", "5 apples", "-1", 0, True, 1.5, "0GB"])
def test_sizes_that_are_none(said: Any) -> None:
    with pytest.raises(ArgumentError, match="max_shard_size is a number of bytes, or a text as '5GB'"):
        bytes_of(said)


@pytest.mark.parametrize("said", ["0/4", "5/4", "2", "a/b", "1/2/3", (0, 2), (3, 2)])
def test_parts_that_are_none(said: Any) -> None:
    with pytest.raises(ArgumentError, match="part is i/n with 1 ≤ i ≤ n"):
        part_of(said)


def test_what_does_not_go_together(tmp_path: Path) -> None:
    for options, message in [
        ({"part": "1/2"}, "part needs several files: say max_shard_size"),
        ({"format": "gguf"}, "format is one of safetensors, dcp, not 'gguf'"),
        ({"format": "dcp", "part": "1/2"}, 'format="dcp" is written by one process'),
    ]:
        with pytest.raises(ArgumentError, match=message):
            planned().write(tmp_path / "x", **options)
    with pytest.raises(ArgumentError, match="is one file, and max_shard_size makes several: say a folder"):
        planned().write(tmp_path / "x.safetensors", max_shard_size=600)
    assert list(tmp_path.iterdir()) == []


def test_progress_of_a_run_that_goes_on_begins_where_it_stopped(tmp_path: Path) -> None:
    planned().write(tmp_path / "x", max_shard_size=600, part=(1, 2))
    seen: list[tuple[int, int]] = []
    planned().write(tmp_path / "x", max_shard_size=600, progress=lambda *now: seen.append(now))
    total = sum(piece.nbytes for piece in laid_out(planned(), None, None))
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)
    assert seen[0][0] > total / 3


def test_any_element_of_a_tensor_that_nobody_holds_costs_the_same() -> None:
    with torch.device("meta"):
        model = nn.Linear(10**6, 4 * 10**5, bias=False)
    plan = initium.plan(model, RULES[:1], seed=0)
    far = plan.values("weight", 10**11, 10**11 + 4096)
    assert torch.equal(far[1000:1010], plan.values("weight", 10**11 + 1000, 10**11 + 1010))

    def fastest(start: int) -> float:
        times = []
        for _ in range(50):
            begin = time.perf_counter()
            plan.values("weight", start, start + 4096)
            times.append(time.perf_counter() - begin)
        return min(times)

    assert fastest(10**11) < 3 * fastest(0)


def test_a_link_that_leads_nowhere_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to(tmp_path / "gone")
    with pytest.raises(FileError, match="the folder .*x cannot be made: it is a link that leads nowhere"):
        planned().write(tmp_path / "x", max_shard_size=600)


# torch.distributed.checkpoint


@pytest.mark.parametrize("chunk", [64, 1 << 28])
def test_dcp_loads_what_apply_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    from torch.distributed.checkpoint import load

    from initium._checkpoint import dcp

    monkeypatch.setattr(dcp, "CHUNK", chunk)
    seen: list[tuple[int, int]] = []
    path = planned().write(tmp_path / "x", format="dcp", dtype="bf16", progress=lambda *now: seen.append(now))
    model, loaded = Net().bfloat16(), Net().bfloat16()
    planned().apply(model)
    state = loaded.state_dict()
    with pytest.MonkeyPatch.context():
        import warnings

        warnings.simplefilter("ignore")  # torch says that there is no process group
        load(state, checkpoint_id=path, **dcp.ALONE)
    loaded.load_state_dict(state)
    assert all(torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), model.state_dict().values(), strict=True))
    assert seen[-1][0] == seen[-1][1]
    with pytest.raises(FileError, match="x is not empty: write to another folder, or say overwrite=True"):
        planned().write(tmp_path / "x", format="dcp")
    with pytest.raises(FileError, match="has no safetensors file; it is of torch.distributed.checkpoint: load it into a model"):
        initium.diff(tmp_path / "x", planned())
    planned(2).write(tmp_path / "x", format="dcp", overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (OSError(28, "No space left on device"), FileError, "x cannot be written: the disk is full; nothing was left behind"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598"), FileError, "the disk is full"),
        (OSError(13, "no"), FileError, "permission denied"),
        (ZeroDivisionError("ours"), ZeroDivisionError, "ours"),
    ],
)
def test_what_stops_dcp_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, raised: type[Exception], message: str
) -> None:
    def fails(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(raised, match=message):
        planned().write(tmp_path / "x", format="dcp")
    assert list(tmp_path.iterdir()) == []


# the command line


def test_initium_write_in_parts_and_initium_diff(tmp_path: Path, whole: Path) -> None:
    run = CliRunner()
    planned().save(tmp_path / "plan.json")
    out = tmp_path / "cli"
    for rank in (1, 0):  # as torchrun starts them
        command = ["write", str(tmp_path / "plan.json"), "-o", str(out), "--max-shard-size", "600"]
        found = run.invoke(main, command, env={"RANK": str(rank), "WORLD_SIZE": "2"})
        assert found.exit_code == 0, found.output
        assert (out / "model.safetensors.index.json").exists() == (rank == 0)
    assert contents(out) == contents(whole)
    assert run.invoke(main, ["diff", str(out), str(tmp_path / "plan.json"), "--sample", "64"]).exit_code == 0
    file = next(out.glob("model-00003-*"))
    data = bytearray(file.read_bytes())
    data[-9] ^= 64
    file.write_bytes(data)
    found = run.invoke(main, ["diff", str(out), str(tmp_path / "plan.json")])
    assert found.exit_code == 1
    names = load_file(file)
    assert any(name in found.output for name in names)
    assert "values" in found.output
    bad = run.invoke(main, ["write", str(tmp_path / "plan.json"), "-o", str(out), "--part", "3/2"])
    assert bad.exit_code != 0
    assert "part is i/n with 1 ≤ i ≤ n" in bad.output + bad.stderr


def _changed(file: Path, name: str, element: int) -> None:
    """Turn one bit of one element of a tensor in a file."""
    data = bytearray(file.read_bytes())
    length = int.from_bytes(data[:8], "little")
    entry = json.loads(data[8 : 8 + length])[name]
    begin, end = entry["data_offsets"]
    wide = (end - begin) // math.prod(entry["shape"])
    data[8 + length + begin + element * wide] ^= 1  # the lowest bit of its significand
    file.write_bytes(data)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("element", [0, 29, 63])
def test_diff_names_the_tensor_and_the_index_of_the_first_element_that_differs(
    tmp_path: Path, dtype: str, element: int
) -> None:
    planned().save(tmp_path / "plan.json")
    planned().write(tmp_path / "out", max_shard_size=600 if dtype == "float32" else 300, dtype=dtype)
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())["weight_map"]
    name = next(key for key, file in index.items() if file.startswith("model-00003-") and key.endswith(".weight"))
    later = next(key for key, file in index.items() if file.startswith("model-00005-") and key.endswith(".weight"))
    command = ["diff", str(tmp_path / "out"), str(tmp_path / "plan.json")]
    assert CliRunner().invoke(main, command).exit_code == 0
    _changed(tmp_path / "out" / index[name], name, element)
    if element < 63:  # another one behind it in the same tensor: the first is named
        _changed(tmp_path / "out" / index[name], name, element + 1)
    _changed(tmp_path / "out" / index[later], later, 5)
    where = [element // 8, element % 8]
    found = CliRunner().invoke(main, command)
    assert found.exit_code == 1
    line = next(line for line in found.output.splitlines() if line.startswith(name))
    assert str(where) in line
    assert "[0, 5]" in next(line for line in found.output.splitlines() if line.startswith(later))
    told = json.loads(CliRunner().invoke(main, [*command, "--json"]).output)["entries"]
    assert [(one["name"], one["what"], one["index"]) for one in told] == [(name, "values", where), (later, "values", [0, 5])]
    sampled = json.loads(CliRunner().invoke(main, [*command, "--json", "--sample", "64"]).output)["entries"]
    assert [(one["name"], one["index"]) for one in sampled] == [(name, where), (later, [0, 5])], "64 of 64 elements are all"


def test_without_a_recipe_it_is_the_models_own_initialisation(tmp_path: Path) -> None:
    command = [
        "write",
        "torch.nn:Linear",
        "--arg",
        "in_features=300",
        "--arg",
        "out_features=20",
        "-o",
        str(tmp_path / "x.safetensors"),
    ]
    found = CliRunner().invoke(main, command)
    assert found.exit_code == 0, found.output
    built = initium.build(nn.Linear, 300, 20, seed=0)
    assert torch.equal(load_file(tmp_path / "x.safetensors")["weight"], built.weight)
