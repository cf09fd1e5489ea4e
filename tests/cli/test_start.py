"""How the program starts: quickly, without torch; and as a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def process(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["plan", "--help"], ["write", "--help"], ["plan"], ["nonsense"]]
)
def test_torch_is_not_imported_before_it_is_needed(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom initium.cli import main\n"
        f"try: main({arguments!r}, prog_name='initium')\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'rich', 'yaml', 'safetensors', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    assert process("-c", code).stderr.splitlines()[-1] == "[]"


def test_the_check_above_can_fail() -> None:
    code = "import sys, torch\nprint(sorted({'torch'} & set(sys.modules)))"
    assert process("-c", code).stdout.strip() == "['torch']"


def test_help_answers_at_once() -> None:
    """0.3 s of a processor beyond the interpreter's own start, in the best of five: the machine may be busy with other things."""

    def spent() -> float:
        times = os.times()
        return times.children_user + times.children_system

    def best(*arguments: str) -> float:
        times = []
        for _ in range(5):
            start = spent()
            assert process(*arguments).returncode == 0
            times.append(spent() - start)
        return min(times)

    assert best("-m", "initium", "--help") - best("-c", "pass") < 0.3


def test_help_names_every_command() -> None:
    text = process("-m", "initium", "--help").stdout
    assert text.startswith("Usage: initium")
    for command in ("demo", "diff", "plan", "recipes", "stats", "write"):
        assert f"\n  {command} " in text


def test_as_a_process(tmp_path: Path) -> None:
    def initium(*arguments: str) -> subprocess.CompletedProcess[str]:
        return process("-m", "initium", *arguments, cwd=tmp_path)

    layer = ("torch.nn:Linear", "--arg", "in_features=3", "--arg", "out_features=2", "--recipe", "he")
    wrote = initium("write", *layer, "-o", "x.safetensors")
    assert (wrote.returncode, wrote.stderr) == (0, "")
    assert initium("diff", "x.safetensors", *layer).returncode == 0
    differs = initium("diff", "x.safetensors", *layer, "--seed", "1")
    assert (differs.returncode, differs.stderr) == (1, "")
    refused = initium("write", *layer, "-o", "x.safetensors")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_progress_bar_where_somebody_is_looking(tmp_path: Path) -> None:
    primary, secondary = os.openpty()
    arguments = ["-m", "initium", "write", "torch.nn:Linear", "--arg", "in_features=3000", "--arg", "out_features=3000"]
    arguments += ["--recipe", "he", "-o", str(tmp_path / "x.safetensors")]
    with subprocess.Popen(
        [sys.executable, *arguments], stderr=secondary, stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm"}
    ) as run:
        out, _ = run.communicate(timeout=120)
        os.close(secondary)
        shown = os.read(primary, 1 << 16)
        os.close(primary)
    assert run.returncode == 0
    assert "━".encode() in shown
    assert b"36.0" in shown
    assert out.startswith(str(tmp_path).encode())
