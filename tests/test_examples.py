"""Each example runs, and prints what the documentation shows."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import docs  # noqa: E402

EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("[0-9]_*.py"))
PAGES = "\n".join(path.read_text("utf-8") for path in docs.pages())


def test_there_is_one_for_each_way_and_one_that_compares() -> None:
    assert [name[0] for name in EXAMPLES] == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_prints_what_the_documentation_shows(name: str) -> None:
    shown = re.findall(rf"<!-- output: python examples/{name} -->\n```text\n(.*?)\n```\n<!-- end -->", PAGES, re.DOTALL)
    assert len(shown) == 1, f"examples/{name} has its output on one page"
    assert docs.output(f"python examples/{name}") == shown[0], "stale: run python tools/docs.py"


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_text_stands_in_the_documentation(name: str) -> None:
    assert f"<!-- file: examples/{name} -->\n```python\n{(ROOT / 'examples' / name).read_text('utf-8').rstrip()}\n```" in PAGES


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_says_how_to_run_it(name: str) -> None:
    assert f"python examples/{name}" in (ROOT / "examples" / name).read_text("utf-8")
