"""The commands: what they print, what they write, and their exit codes, in one process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file
from torch import nn

import initium
from initium.cli import main

MODULE = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8, bias=True):
        super().__init__()
        self.a = nn.Linear(8, width, bias=bias)
        self.norm = nn.BatchNorm1d(width)
        self.emb = nn.Embedding(5, 4)

def fails(): raise ValueError("no such luck")
def number(): return 3
model = nn.Linear(3, 2)
constant = 3
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delitem(sys.modules, "nets", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def ok(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> str:
    """The sentence on stderr; nothing on stdout, exit code 2, no new file."""
    before = sorted(Path().rglob("*"))
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("initium: ")
    left = [path for path in Path().rglob("*") if path not in before and "__pycache__" not in path.parts]
    assert left == []
    return result.stderr


# --- plan


def test_plan_prints_the_table() -> None:
    text = ok("plan", "nets.py:Net", "--recipe", "he", "--seed", "5", "--arg", "width=16")
    assert text.splitlines()[0].startswith("recipe he · seed 5 · stream 1 · 8 tensors")
    assert "16×8" in text
    assert max(map(len, text.splitlines())) <= 100


def test_plan_json_has_an_entrys_fields_and_is_a_plan_file() -> None:
    text = ok("plan", "nets:Net", "--recipe", "he", "--json")
    document = json.loads(text)
    assert (document["version"], document["seed"]) == (1, 0)
    first = document["entries"][0]
    assert {
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
    } <= set(first)
    assert (first["name"], first["shape"], first["kind"], first["source"]) == ("a.weight", [8, 8], "drawn", "--recipe he")
    Path("plan.json").write_text(text)
    sys.path.insert(0, "")
    assert initium.Plan.load("plan.json")["a.weight"].std == 0.5


def test_plan_saves_and_does_not_replace() -> None:
    ok("plan", "nets.py:Net", "--recipe", "he", "-o", "plan.json")
    before = Path("plan.json").read_text()
    assert "plan.json exists" in refused("plan", "nets.py:Net", "--recipe", "xavier", "-o", "plan.json")
    assert Path("plan.json").read_text() == before
    ok("plan", "nets.py:Net", "--recipe", "xavier", "-o", "plan.json", "--force")
    assert Path("plan.json").read_text() != before


def test_plan_on_meta_takes_no_memory() -> None:
    assert "1.625 T elements" in ok("plan", "nets.py:Net", "--recipe", "normal", "--meta", "--arg", "width=125_000_000_000")


def test_a_recipe_from_a_file_and_knobs() -> None:
    Path("mine.yaml").write_text(
        "knobs: {s: 3}\nrules:\n- {where: '**', init: keep}\n- {type: Linear, weight: {normal: {std: s}}}\n"
    )
    document = json.loads(ok("plan", "nets.py:Net", "--recipe", "mine.yaml", "--json"))
    assert (document["entries"][0]["std"], document["entries"][0]["source"]) == (3, "mine.yaml:4")
    document = json.loads(ok("plan", "nets.py:Net", "--recipe", "mine.yaml", "--json", "--knob", "s=0.5"))
    assert document["entries"][0]["std"] == 0.5
    document = json.loads(ok("plan", "nets.py:Net", "--recipe", "normal", "--json", "--knob", "std=0.5"))
    assert document["entries"][0]["std"] == 0.5


# --- write


def test_write_draws_what_initialize_draws_and_is_the_same_each_run() -> None:
    text = ok("write", "nets.py:Net", "--recipe", "he", "--seed", "3", "-o", "net.safetensors")
    assert text.startswith("net.safetensors: ")
    assert "seed 3" in text
    sys.path.insert(0, "")
    values = load_file("net.safetensors")
    namespace: dict[str, type[nn.Module]] = {}
    exec(MODULE, namespace)
    torch.manual_seed(3)
    model = namespace["Net"]()
    initium.initialize(model, "he", seed=3)
    assert all(torch.equal(values[key], value) for key, value in model.state_dict().items())
    namespace["Net"]().load_state_dict(values, strict=True)
    ok("write", "nets.py:Net", "--recipe", "he", "--seed", "3", "-o", "again.safetensors")
    assert Path("again.safetensors").read_bytes() == Path("net.safetensors").read_bytes()


def test_write_a_saved_plan_in_another_dtype_to_a_folder() -> None:
    ok("plan", "nets.py:model", "--recipe", "he", "-o", "plan.json")
    ok("write", "plan.json", "-o", "out", "--dtype", "bfloat16")
    assert load_file("out/model.safetensors")["weight"].dtype == torch.bfloat16
    ok("diff", "plan.json", "out")
    assert "leave out --recipe" in refused("write", "plan.json", "--recipe", "he", "-o", "x.safetensors")


def test_write_refuses_before_it_builds() -> None:
    Path("there.safetensors").write_text("mine")
    assert "exists" in refused("write", "nets.py:fails", "--recipe", "he", "-o", "there.safetensors")
    assert Path("there.safetensors").read_text() == "mine"
    assert "Did you mean 'bfloat16'?" in refused(
        "write", "nets.py:fails", "--recipe", "he", "-o", "x.safetensors", "--dtype", "bfloat17"
    )
    assert "ends in .safetensors, or a folder" in refused("write", "nets.py:fails", "--recipe", "he", "-o", "x.pt")
    assert "there is no folder" in refused("write", "nets.py:fails", "--recipe", "he", "-o", "no/x.safetensors")
    ok("write", "nets.py:model", "--recipe", "he", "-o", "there.safetensors", "--force")


# --- stats and diff


def test_stats_of_a_model_of_a_plan_and_of_a_file() -> None:
    text = ok("stats", "nets.py:Net", "--recipe", "he")
    assert "planned std" in text
    assert text.endswith("seed 0\n")
    assert "planned std" not in ok("stats", "nets.py:Net")
    ok("write", "nets.py:model", "--recipe", "he", "-o", "x.safetensors")
    ok("plan", "nets.py:model", "--recipe", "he", "-o", "plan.json")
    document = json.loads(ok("stats", "x.safetensors", "--plan", "plan.json", "--json"))
    assert [one["name"] for one in document["tensors"]] == ["weight", "bias"] or {"weight", "bias"} == {
        one["name"] for one in document["tensors"]
    }
    assert "seed" not in document
    assert "are for a MODEL" in refused("stats", "x.safetensors", "--recipe", "he")


def test_diff_exit_codes() -> None:
    ok("write", "nets.py:model", "--recipe", "he", "-o", "a.safetensors")
    assert ok("diff", "a.safetensors", "nets.py:model", "--recipe", "he").startswith("the same: 2 tensors")
    result = run("diff", "a.safetensors", "nets.py:model", "--recipe", "he", "--seed", "1")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "weight" in result.stdout
    save_file({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}, "b.safetensors")
    result = run("diff", "a.safetensors", "b.safetensors", "--json", "--sample", "2")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["same"], document["entries"][0]["name"]) == (1, False, "weight")
    assert "there is no such file. Did you mean 'b.safetensors'?" in refused("diff", "a.safetensors", "bb.safetensors")
    assert "0 is not in the range" in refused("diff", "a.safetensors", "b.safetensors", "--sample", "0")


# --- recipes


def test_recipes_are_listed_and_shown() -> None:
    text = ok("recipes")
    assert "he, kaiming" in text
    assert max(map(len, text.splitlines())) <= 100
    assert {"he", "xavier", "lecun", "orthogonal", "normal", "torch", "resnet-2015", "xavier-all"} <= {
        one["name"] for one in json.loads(ok("recipes", "--json"))
    }
    for name in json.loads(ok("recipes", "--json")):
        shown = ok("recipes", name["name"])
        assert "rules, the last that matches wins:" in shown
        assert name["summary"] in shown
    names = [line.split("  ")[0] for line in text.splitlines()[2:-1]]
    assert max(map(len, names)) <= 36, "many aliases do not take the room of the sentence beside them"
    assert any(name.endswith(", …") for name in names)
    assert ok("recipes", "kaiming").splitlines()[0] == "he"
    assert "knobs: std=0.02, mean=0.0" in ok("recipes", "normal")
    document = json.loads(ok("recipes", "he", "--json"))
    assert document["rules"][1] == {"role": "weight", "optional": True, "init": "kaiming_normal"}
    assert "no recipe is called 'hee'. Did you mean 'he'?" in refused("recipes", "hee")


# --- bad input

BAD = [
    (["plan", "nets.py:Net", "--knob", "std=1"], "--knob is for a recipe: say --recipe, a name (initium recipes lists them"),
    (["plan", "nets.py:model"], "nets.py:model is a model already, so no constructor is left to capture"),
    (["plan", "nets.py:Net", "--blame", "nosuch.*"], "matches no tensor of the plan"),
    (["plan", "nets.py:Net", "--recipe", "xavierr"], "no recipe is called 'xavierr'. Did you mean 'xavier'?"),
    (["plan", "nets.py:Net", "--recipe", "no.yaml"], "no.yaml: there is no such file"),
    (["plan", "nets.py:Net", "--recipe", "bad.yaml"], "bad.yaml:1:10: unknown key 'wher'. Did you mean 'where'?"),
    (["plan", "nets.py:Net", "--recipe", "he", "--knob", "gain=3"], "the recipe 'he' has no knob 'gain'"),
    (["plan", "nets.py:Net", "--recipe", "unclaimed.yaml"], "claims no rule for 4 parameters"),
    (["plan", "nets.py:Net", "--recipe", "useless.yaml"], "these rules match nothing in the model"),
    (["plan", "nets.py:Net", "--recipe", "he", "--seed", str(2**64)], f"seed {2**64} is out of range"),
    (["plan", "nets.py:Net", "--recipe", "he", "--seed", "x"], "'x' is not a valid integer"),
    (["plan", "nets.py:Net", "--recipe", "he", "--arg", "width"], "'width' is not key=value"),
    (["plan", "nets.py:Net", "--recipe", "he", "--arg", "width=1", "--arg", "width=2"], "width is given twice"),
    (["plan", "nets.py:Net", "--recipe", "he", "--arg", "wdith=1"], "cannot be built: TypeError"),
    (["plan", "nets.py:Nett", "--recipe", "he"], "nets.py has no 'Nett'."),
    (["plan", "nets.py:constant", "--recipe", "he"], "nets.py:constant is a int, not something that makes a model"),
    (["plan", "nets.py:number", "--recipe", "he"], "nets.py:number makes a int, not an nn.Module"),
    (["plan", "nets.py:fails", "--recipe", "he"], "nets.py:fails cannot be built: ValueError: no such luck"),
    (["plan", "netz.py:Net", "--recipe", "he"], "netz.py: there is no such file. Did you mean 'nets.py'?"),
    (["plan", "broken.py:Net", "--recipe", "he"], "broken.py:1:"),
    (["plan", "raising.py:Net", "--recipe", "he"], "raising.py cannot be run: ZeroDivisionError"),
    (
        ["plan", "no_such_module:Net", "--recipe", "he"],
        "no_such_module cannot be imported: there is no module 'no_such_module'",
    ),
    (["plan", "nonsense", "--recipe", "he"], "'nonsense' is neither a file that exists nor a model"),
    (["plan", "nets.py:model", "--recipe", "he", "--foo"], "No such option '--foo'. Did you mean '--force'?"),
    (["plan"], "Missing argument 'MODEL'. See initium plan --help"),
    (["plam"], "No such command 'plam'."),
    (["--verson"], "No such option '--verson'."),
    (["stats", "none.safetensors"], "none.safetensors: there is no such file"),
    (["stats", "nets.py"], "nets.py is not a whole safetensors file"),
    (["stats", "nets.py:model", "--plan", "bad.yaml"], "bad.yaml:1:1: not JSON"),
    (["diff", "nets.py:model"], "Missing argument 'B'"),
    (["write", "nets.py:model", "--recipe", "he"], "Missing option '-o' / '--output'"),
    (["write", "none.json", "-o", "x.safetensors"], "none.json: there is no such file"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_bad_input_is_one_sentence(arguments: list[str], message: str) -> None:
    Path("bad.yaml").write_text("rules: [{wher: x, init: 0}]")
    Path("unclaimed.yaml").write_text("rules: [{where: a.bias, init: 0}]")
    Path("useless.yaml").write_text("rules: [{where: '**', init: 0}, {where: head.*, init: 0}]")
    Path("broken.py").write_text("def f(:\n")
    Path("raising.py").write_text("1 / 0\n")
    assert message in refused(*arguments)


def test_a_fault_of_ours_has_a_traceback_and_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise AssertionError("impossible")

    monkeypatch.setattr("initium._planner.plan", broken)
    result = run("plan", "nets.py:model", "--recipe", "he")
    assert result.exit_code == 3
    assert "AssertionError: impossible" in result.stderr
    assert "this is a fault of initium, not of yours" in result.stderr


def test_an_interrupt_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("initium._checkpoint.write.write_plan", interrupted)
    result = run("write", "nets.py:model", "--recipe", "he", "-o", "x.safetensors")
    assert result.exit_code == 130
    assert "interrupted" in result.stderr


def test_the_constructor_leaves_torchs_generator_alone() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    ok("stats", "nets.py:Net", "--seed", "4")
    assert torch.equal(torch.get_rng_state(), before)
