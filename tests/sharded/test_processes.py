"""Real processes over gloo, started once for all tests here: the table of tools/mesh_table.py in small, and what needs several."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@functools.cache
def table() -> tuple[int, str]:
    """Four processes, one model, every layout."""
    command = [sys.executable, str(ROOT / "tools" / "mesh_table.py"), "--processes", "4", "--models", "tied GPT"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return run.returncode, run.stdout + run.stderr


def test_the_table_of_meshes_in_small() -> None:
    code, text = table()
    assert code == 0, text
    assert "12 of 12 equal to the bit" in text
    for layout in ("FSDP2", "HSDP", "FSDP2 × TP Shard(0)", "HSDP × TP", "Shard(1) × Shard(0)"):
        assert f"| {layout} | equal |" in text


@pytest.mark.parametrize(
    "line",
    [
        "drop-ins agree though the ranks' generators do not: equal",
        "drop-ins agree on a part of the mesh: equal",
        "fingerprint over a group: equal",
        "DDP's group counts once: equal",
    ],
)
def test_what_needs_several_processes(line: str) -> None:
    assert line in table()[1]
