"""The pytest plugin in a pytest of its own, and the pre-commit hook's words on the command line."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from initium.cli import main

MODELS = """
import torch
from torch import nn

class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        return self.layer(x)

class Bad(Good):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.empty(8))
"""

TESTS = """
import initium
from models import Bad, Good

def test_inline():
    assert initium.audit(Bad, level="weights").ok

def test_named():
    report = initium.audit(Bad, level="weights")
    assert report.ok, "look"

def test_fixture(initium_audit):
    initium_audit(Bad, level="weights")

def test_good(initium_audit):
    assert initium_audit(Good, level="weights").ok
    assert initium.audit(Good, level="weights").ok

def test_other():
    assert 1 == 2
"""


def pytest_in(folder: Path, *args: str) -> str:
    loaded = any(one.name == "initium" for one in entry_points(group="pytest11"))
    plugin = [] if loaded else ["-p", "initium.integrations.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *plugin, *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout + done.stderr


def test_a_failed_assert_explains_itself(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "test_them.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    said = pytest_in(tmp_path)
    assert "4 failed, 1 passed" in said, said
    by_test = re.split(r"^_{3,} (test_\w+) _{3,}$", said, flags=re.MULTILINE)
    shown = dict(zip(by_test[1::2], by_test[2::2], strict=True))
    for name in ("test_inline", "test_named", "test_fixture"):
        assert "error  U001  parameter never filled" in shown[name], shown[name]
        assert "at models.py:16 __init__" in shown[name]
    assert "U001" not in shown["test_other"].partition("short test summary")[0]


def test_pytest_starts_without_torch(tmp_path: Path) -> None:
    (tmp_path / "test_none.py").write_text("import sys\n\ndef test_none():\n    assert 'torch' not in sys.modules\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert "1 passed" in pytest_in(tmp_path, "-p", "no:hypothesispytest")


def test_the_hook_is_a_command_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [hook] = yaml.safe_load((Path(__file__).parent.parent.parent / ".pre-commit-hooks.yaml").read_text("utf-8"))
    program, *words = shlex.split(hook["entry"])
    assert program == "initium"
    assert hook["pass_filenames"] is False
    (tmp_path / "models_of_hook.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert CliRunner().invoke(main, [*words, "models_of_hook:Good"]).exit_code == 0
    done = CliRunner().invoke(main, [*words, "models_of_hook:Bad"])
    assert done.exit_code == 1
    assert "U001" in done.output
