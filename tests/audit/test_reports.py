"""Reports, expectations, selection, bad input, and the command line: what a user sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import initium
from initium._audit import config
from initium._audit.registry import checks
from initium._errors import ArgumentError, ModelError
from initium.cli import main

MODELS = """
import torch
from torch import nn

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)

class Good(Base):
    def forward(self, x):
        return self.first(x)

class Bad(Good):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.empty(8))

class Raises(Base):
    def forward(self, x):
        raise RuntimeError("no luck here")

class NoTensor(Base):
    def forward(self, x):
        return "hello"

class Unknown(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(3))

    def forward(self, graph):
        return graph.x * self.scale

class Nothing(nn.Module):
    def forward(self, x):
        return x

class Broken(nn.Module):
    def __init__(self):
        raise ValueError("not today")

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.LazyLinear(4)

def on_meta():
    with torch.device("meta"):
        return nn.Linear(3, 3)

def number():
    return 3

class Hostile(Good):
    def __init__(self):
        super().__init__()
        self.register_parameter("<script>alert(1)</script>\\n\\x1b[31m", nn.Parameter(torch.empty(4)))
"""


@pytest.fixture
def models(tmp_path: Path) -> str:
    path = tmp_path / "models.py"
    path.write_text(MODELS, "utf-8")
    return str(path)


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["audit", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_exit_codes(models: str) -> None:
    assert run(f"{models}:Good")[0] == 0
    assert run(f"{models}:Bad")[0] == 1
    assert run(f"{models}:Bad", "--ignore", "U")[0] == 0
    assert run(f"{models}:Bad", "--select", "Q")[0] == 2
    assert run(f"{models}:Godo")[0] == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Raises", "its forward raises RuntimeError: no luck here (on 64×8, from the first layer, Linear)"),
        ("NoTensor", "its forward returns no tensor of floats"),
        ("Unknown", "no input could be made for it: say inputs="),
        ("Nothing", "has no parameter and no buffer: there is nothing to audit"),
        ("Broken", "cannot be built: ValueError: not today"),
        ("number", "makes a int, not an nn.Module"),
        ("on_meta", "2 tensors are on meta, the first weight: it cannot be run"),
        ("Lazy", "first.weight is lazy and has no shape yet: run one forward pass first"),
    ],
)
def test_a_model_that_cannot_be_built_or_run_gets_a_sentence_and_exit_3(models: str, name: str, words: str) -> None:
    code, out, err = run(f"{models}:{name}")
    assert code == 3
    assert words in err
    assert "Traceback" not in out + err
    if name in ("Raises", "NoTensor", "Unknown", "on_meta", "Lazy"):
        assert " passed, " in out  # the rest was audited
    if name in ("on_meta", "Lazy"):
        assert "U005" in out


def test_hostile_names_do_not_reach_the_terminal(models: str, tmp_path: Path) -> None:
    code, out, _ = run(f"{models}:Hostile")
    assert code == 1
    assert "\x1b" not in out
    assert "<script>alert(1)</script>\\n\\x1b[31m" in out
    for format_ in ("html", "sarif", "json"):
        assert run(f"{models}:Hostile", "--format", format_, "-o", str(tmp_path / format_))[0] == 1
        written = (tmp_path / format_).read_text("utf-8")
        assert "\x1b" not in written
        assert "alert(1)" in written
    assert "<script>alert" not in (tmp_path / "html").read_text("utf-8")


def test_json_has_the_promised_shape(models: str, tmp_path: Path) -> None:
    code, out, _ = run(f"{models}:Bad", "--format", "json")
    document = json.loads(out)
    assert code == 1
    assert {"version", "findings", "passed", "not_run"} <= set(document)
    assert document["version"] == 1
    (finding,) = document["findings"]
    assert finding["code"] == "U001"
    assert finding["severity"] == "error"
    assert finding["name"] == "scale"
    assert "models.py:17 __init__" in finding["source"]
    assert run(f"{models}:Bad", "--format", "json", "-o", str(tmp_path / "known.json"))[0] == 1
    assert run(f"{models}:Bad", "--baseline", str(tmp_path / "known.json"))[0] == 0
    assert run(f"{models}:Bad", "--baseline", models)[0] == 2


def test_pyproject_says_the_defaults(models: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.initium]\nignore = ["U"]\n', "utf-8")
    assert run(f"{models}:Bad")[0] == 0
    (tmp_path / "pyproject.toml").write_text('[tool.initium]\nignroe = ["U"]\n', "utf-8")
    code, _, err = run(f"{models}:Bad")
    assert code == 2
    assert "Did you mean 'ignore'?" in err
    monkeypatch.setattr(config, "_toml_reader", lambda: None)
    code, _, err = run(f"{models}:Bad")
    assert code == 2
    assert "pip install tomli" in " ".join(err.split())
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\n# initium\n", "utf-8")
    assert run(f"{models}:Bad")[0] == 1


def test_input_by_shape(models: str) -> None:
    assert "run on 5×8 from inputs=" in " ".join(run(f"{models}:Good", "--input", "5x8")[1].split())
    code, _, err = run(f"{models}:Good", "--input", "5by8")
    assert code == 2
    assert "write 2x3x224x224" in err


def test_a_checkpoint_is_audited(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    good, bad = torch.randn(16, 16), torch.randn(16, 16)
    bad[3, 3] = torch.nan
    save_file({"a": good, "b": bad, "c": good.clone()}, str(tmp_path / "x.safetensors"))
    code, out, _ = run(str(tmp_path / "x.safetensors"), "--format", "json")
    found = {finding["code"]: finding["names"] for finding in json.loads(out)["findings"]}
    assert code == 1
    assert found == {"N001": ["b"], "Y001": ["a", "c"]}


def test_explain_shows_every_page() -> None:
    for code, one in checks().items():
        out = CliRunner().invoke(main, ["explain", code.lower()]).stdout
        assert one.name in out
        assert "Use instead" in out
    listed = CliRunner().invoke(main, ["explain"]).stdout
    assert all(code in listed for code in checks())
    result = CliRunner().invoke(main, ["explain", "U0001"])
    assert result.exit_code == 2
    assert "Did you mean U001?" in result.stderr


class Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.empty(8))


def test_an_expectation_hides_its_finding_and_an_unused_one_is_a_finding() -> None:
    kept = initium.expect("scale", "U001", reason="filled by the trainer")
    other = initium.expect("first.*", "U001", reason="an old one")
    report = initium.audit(Bare, level="weights", expect=[kept, other])
    assert [(finding.code, finding.name) for finding in report.findings] == [("X001", "first.*")]
    assert [finding.code for finding in initium.audit(Bare, level="weights").findings] == ["U001"]


def test_an_expectation_asks_for_a_reason_and_a_code() -> None:
    with pytest.raises(ArgumentError, match="say why it is meant"):
        initium.expect("scale", "U001", reason=" ")
    with pytest.raises(ArgumentError, match="no check's code begins with 'Q9'"):
        initium.expect("scale", "Q9", reason="x")


def test_levels_and_codes_are_checked() -> None:
    with pytest.raises(
        ArgumentError, match=r"level is one of static, weights, forward, grad, not 'wieghts'. Did you mean 'weights'"
    ):
        initium.audit(Bare, level="wieghts")
    with pytest.raises(ArgumentError, match="no check's code begins with 'Q'"):
        initium.audit(Bare, select="Q")
    with pytest.raises(ModelError, match="cannot be built: ZeroDivisionError"):
        initium.audit(lambda: 1 / 0)  # type: ignore[arg-type, return-value]


def test_a_model_already_built_says_what_could_not_be_seen() -> None:
    report = initium.audit(nn.Linear(8, 8))
    assert report.ok
    reasons = {one.what: one.reason for one in report.not_run}
    assert "already built: give the class or function that makes it" in reasons["U001"]


def test_repair_draws_what_is_safe_and_says_what_it_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(50, 32, padding_idx=0)
            nn.init.normal_(self.tokens.weight)
            self.first = nn.Linear(32, 32)
            nn.init.constant_(self.first.weight, 0.1)

    report = initium.audit(Padded, level="weights")
    assert {finding.code for finding in report.findings} == {"C003", "Y004"}
    assert report.model is not None
    report.repair(seed=0)
    assert "Y004 (unsafe=True repairs these too)" in capsys.readouterr().out
    assert {finding.code for finding in initium.audit(report.model, level="weights").findings} == {"Y004"}
    report.repair(seed=0, unsafe=True)
    assert initium.audit(report.model, level="weights").ok


def test_a_model_of_100_000_parameters_is_audited() -> None:
    """Some 5 s of processor time, imports with it; it was 80."""

    class Many(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ps = nn.ParameterList(nn.Parameter(torch.zeros(2)) for _ in range(100_000))

    report = initium.audit(Many(), level="weights")
    assert report.ok
    assert len(report.measured.tensors) == 100_000
    assert sum(report.measured.seconds.values()) < 60, report.measured.seconds
