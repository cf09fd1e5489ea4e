"""The examples of sharded training print one line, the one that the page shows, on any number of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


SHIM = """
import os, sys
if "RANK" in os.environ:  # a torchvision without its compiled operators, as in tests/zoo
    sys.path.insert(0, "tests/zoo")
    from _shim import library
    library("transformers")
"""


def line(name: str, processes: int, folder: Path) -> str:
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), f"examples/{name}"]
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONWARNINGS": "ignore"}
    if "transformers" in name:
        (folder / "sitecustomize.py").write_text(SHIM, "utf-8")
        settings["PYTHONPATH"] = str(folder)
    run = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout.strip()


@pytest.mark.parametrize(("name", "counts"), [("scale_parallel.py", (1, 4)), ("scale_transformers.py", (2,))])
def test_the_losses_are_those_of_the_page(name: str, counts: tuple[int, ...], tmp_path: Path) -> None:
    if "transformers" in name:
        pytest.importorskip("transformers")
    found = {line(name, processes, tmp_path) for processes in counts}
    assert len(found) == 1, found
    (said,) = found
    assert said.startswith("losses ")
    assert said in (ROOT / "docs" / "scale.md").read_text("utf-8")
