"""The examples of sharded training print one line, the one that the page shows, on any number of processes; so does the table of ways."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from scale_examples import line  # noqa: E402

PAGE = (ROOT / "docs" / "scale.md").read_text("utf-8")


@pytest.mark.parametrize(("name", "counts"), [("scale_parallel.py", (1, 4)), ("scale_transformers.py", (2,))])
def test_the_losses_are_those_of_the_page(name: str, counts: tuple[int, ...]) -> None:
    if "transformers" in name:
        pytest.importorskip("transformers")
    found = {line(name, processes) for processes in counts}
    assert len(found) == 1, found
    (said,) = found
    assert said.startswith("losses ")
    for processes in (1, 2, 4):
        assert f"$ torchrun --nproc-per-node {processes} examples/{name}\n{said}\n" in PAGE


def test_every_way_to_shard_on_the_page_is_as_it_should_be() -> None:
    run = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "ways_to_shard.py")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    ways = [row.split(" | ")[0] for row in run.stdout.splitlines()]
    assert len(ways) > 15
    assert all(f"{way} | " in PAGE for way in ways[2:])
