"""The command line without --recipe: a model's own initialisation, who wrote it, and whether it has changed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import initium
from initium.cli import main

NETS = """
import torch
from torch import nn

def start(linear):
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)

class Net(nn.Module):
    def __init__(self, width=8, depth=3):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 2)
        for layer in self.layers:
            start(layer)

class Undefined(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.empty(3))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    Path("nets.py").write_text(NETS)
    yield
    sys.modules.pop("nets", None)


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


def test_plan_shows_the_constructors_own_initialisation_with_equal_layers_grouped() -> None:
    text = run("plan", "nets.py:Net")
    assert "layers.{0..2}.weight ×3" in text
    assert "xavier_uniform" in text
    assert "head.bias" in text
    assert "the constructor would have drawn 426 elements, 216 of them in vain" in text
    assert "captured in " in text


def test_json_has_the_line_of_code_as_source() -> None:
    entries = {entry["name"]: entry for entry in json.loads(run("plan", "nets.py:Net", "--json"))["entries"]}
    assert entries["layers.1.weight"]["source"] == "nets.py:6 start"
    assert entries["layers.1.bias"]["source"] == "nets.py:7 start"
    assert entries["head.weight"]["source"] == "nets.py:13 __init__"


def test_blame_says_who_had_the_last_word_and_whose_was_lost() -> None:
    text = run("plan", "nets.py:Net", "--blame", "layers.*.weight")
    assert text.splitlines() == [
        "layers.{0..2}.weight ×3  8×8  xavier_uniform(fan_in=8, fan_out=8): U(±0.61237)",
        "    nets.py:6 start",
        "    over kaiming_uniform(a=√5, fan_in=8) at nets.py:12 <genexpr>",
    ]
    assert run("plan", "nets.py:Net", "--blame", "head.bias").splitlines()[1] == "    nets.py:13 __init__"
    both = run("plan", "nets.py:Net", "--blame", "layers.*.weight", "--blame", "head.bias")
    assert both.splitlines()[:3] == text.splitlines()
    assert both.splitlines()[4] == "    nets.py:13 __init__"
    assert "--recipe he" in run("plan", "nets.py:Net", "--recipe", "he", "--blame", "head.weight")


def test_write_draws_what_build_draws() -> None:
    run("write", "nets.py:Net", "-o", "net.safetensors", "--seed", "3")
    sys.path.insert(0, ".")
    try:
        import nets  # type: ignore[import-not-found]
    finally:
        sys.path.remove(".")
    built = initium.build(nets.Net, seed=3)
    loaded = nets.Net()
    from safetensors.torch import load_file

    loaded.load_state_dict(load_file("net.safetensors"), strict=True)
    assert all(torch.equal(a, b) for a, b in zip(built.state_dict().values(), loaded.state_dict().values(), strict=True))
    assert "nobody ever fills" in run("write", "nets.py:Undefined", "-o", "x.safetensors", code=2)
    assert not Path("x.safetensors").exists()


def test_a_saved_plan_is_a_golden_file_of_the_initialisation() -> None:
    run("plan", "nets.py:Net", "-o", "plan.json", "--seed", "7")
    assert "the same: 8 tensors" in run("diff", "plan.json", "nets.py:Net")
    Path("nets.py").write_text("# a line that moves the others\n" + NETS)
    assert "the same" in run("diff", "plan.json", "nets.py:Net"), "where the code stands is no part of it"
    Path("nets.py").write_text(NETS.replace("xavier_uniform_(linear.weight)", "normal_(linear.weight, 0, 0.02)"))
    text = run("diff", "plan.json", "nets.py:Net", code=1)
    assert "layers.1.weight" in text
    assert "U(±0.61237)" in text
    assert "N(0, 0.02²)" in text
    assert "3 differences in 8 tensors" in text
    assert "8×8" not in text
    text = run("diff", "plan.json", "nets.py:Net", "--arg", "depth=2", code=1)
    assert "only in a" in text


def test_two_runs_save_the_same_text() -> None:
    run("plan", "nets.py:Net", "-o", "a.json")
    run("plan", "nets.py:Net", "-o", "b.json")
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()
