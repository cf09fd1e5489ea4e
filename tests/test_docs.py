"""The documentation is what the program says: tables, files, outputs, the API page, and the commands of the README."""

from __future__ import annotations

import doctest
import inspect
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import torch

import initium

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import docs  # noqa: E402

PINNED = f"torch=={torch.__version__.partition('+')[0]}\n" in (ROOT / "constraints.txt").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
NAMES = [name for name in initium.__all__ if name != "init"]
WITHOUT_EXAMPLE = {
    "Entry",
    "Initializer",
    "InitiumError",
    "Layout",
    "Plan",
    "named",
}  # bases and data that others make; may only shrink


@pytest.mark.parametrize("page", docs.pages(), ids=lambda path: path.name)
def test_what_the_program_says_on_a_page_is_fresh(page: Path) -> None:
    if page.name == "findings.md" and not PINNED:
        pytest.skip("its cases draw by torch's own functions, which give other numbers in each version")
    text = page.read_text("utf-8")
    assert docs.refreshed(text) == text, "stale: run python tools/docs.py"


def test_the_api_page_is_fresh_and_has_every_public_name() -> None:
    text = docs.API.read_text("utf-8")
    assert text == docs.api(), "stale: run python tools/docs.py"
    for name in NAMES:
        assert f"### {name}\n" in text


def test_the_pages_of_the_recipes_and_their_pictures_are_fresh_and_each_recipe_is_on_one() -> None:
    for path, text in docs.generated().items():
        assert path.read_text("utf-8") == text, f"{path.name} is stale: run python tools/docs.py"
    pages = docs.families()
    for name in initium._recipe.named_recipes():
        page = next(text for text in pages.values() if f"\n## {name}\n" in text)
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for word in (
            "*Use when*",
            "*Not when*",
            "*Source*",
            "```python",
            "last that matches wins",
            f"figures/recipes/{name}.svg",
        ):
            assert word in section, f"{name}: {word}"
    assert set(docs.FAMILIES.glob("*.md")) == set(pages)


def test_each_initializer_has_a_page_that_says_when_and_when_not_and_shows_it() -> None:
    pages = docs.initializer_pages()
    for name, cls in docs._initializers():
        page = next(text for text in pages.values() if f"\n## {cls.__name__}\n" in text)
        section = page.split(f"\n## {cls.__name__}\n")[1].split("\n## ")[0]
        for word in ("*Use when*", "*Not when*", ">>> ", f"`{name}`"):
            assert word in section, f"{name}: {word}"
        assert (f"figures/initializers/{name}.svg" in section) == (name not in ("keep", "reset"))


def test_pictures_are_small_legible_on_black_and_on_white_and_their_own_alone() -> None:
    texts = {path: figure.text for path, figure in docs.figures().items()}
    assert sum(map(len, texts.values())) < 500_000
    for path, text in texts.items():
        assert len(text.encode()) < 16_000, path.name
        root = ElementTree.fromstring(text)
        assert root.find("{http://www.w3.org/2000/svg}title").text, "a screen reader has something to say"  # type: ignore[union-attr]
        assert not re.search(r"\bnan\b|\binf\b|href|<script|<style", text), path.name
        for colour in set(re.findall(r"#[0-9a-f]{6}", text)):
            assert 3 < _contrast(colour, "#ffffff") < 21
            assert _contrast(colour, "#0d1117") > 3, "and on the black of dark themes"


def _contrast(one: str, other: str) -> float:
    """WCAG's ratio of relative luminances."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_curve_that_vanishes_ends_and_labels_do_not_lie_over_each_other() -> None:
    import svg

    text = svg.curves([svg.Curve("a", [1.0, 1e-30, 1e-40], True), svg.Curve("b", [1.0, 1.0, 1.0])], "t", "layer", "rms")
    paths = re.findall(r'<path d="(M[^"]*)" fill="none"', text)
    assert sorted(path.count("L") for path in paths) == [0, 2], "what is below 10⁻¹⁵ of the largest is not drawn"
    heights = [float(y) for y in re.findall(r'y="([\d.]+)" fill="#', text)]
    assert abs(heights[0] - heights[1]) >= 13
    linear = svg.curves([svg.Curve("a", [0.0, 1.0], True)], "t", "layer", "rms")
    assert ">0.5<" in linear, "values that stay within a decade, or reach 0, have a linear axis"


def test_the_table_of_which_recipe_speaks_of_recipes_that_exist() -> None:
    table = (ROOT / "docs" / "recipes.md").read_text("utf-8").split("## Which one for my network?")[1].split("\n## ")[0]
    names = {
        word
        for line in table.splitlines()
        if line.startswith("| ")
        for word in re.findall(r"`([a-z0-9-]+)`", line.split("|")[2])
    }
    assert len(names) > 20
    assert names <= set(initium._recipe.named_recipes())


def test_the_build_refuses_a_name_that_is_undocumented_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    docs.on_pre_build(None)
    monkeypatch.setattr(initium, "__all__", [*initium.__all__, "bare"])
    monkeypatch.setattr(initium, "bare", SimpleNamespace(__doc__="Documented, and not on the page."), raising=False)
    with pytest.raises(SystemExit, match=r"not on docs/api\.md: bare"):
        docs.on_pre_build(None)
    monkeypatch.setattr(initium, "bare", SimpleNamespace(__doc__=None))
    with pytest.raises(SystemExit, match="no docstring: bare"):
        docs.on_pre_build(None)


def test_a_stale_block_is_seen() -> None:
    fresh = docs.refreshed("<!-- table: recipes -->\n<!-- end -->")
    assert "| [`he`](recipes/general.md#he), `kaiming` |" in fresh
    assert docs.refreshed(fresh.replace("`he`", "`hey`")) == fresh
    assert [path for path in docs.stale() if PINNED or path != "docs/findings.md"] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name_runs(name: str) -> None:
    thing = getattr(initium, name)
    text = inspect.getdoc(thing) or ""
    if "Example" not in text:
        assert name in WITHOUT_EXAMPLE, "a public docstring has an Example"
        return
    module = sys.modules[thing.__module__]
    known = {"torch": torch, "nn": torch.nn, **{n: getattr(initium, n) for n in NAMES}, **vars(module)}
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    test = doctest.DocTestParser().get_doctest(text, known, name, None, None)
    assert test.examples, "the Example is written as a session, >>>"
    told: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=flags, verbose=False).run(test, out=told.append)
    assert not failed, "".join(told)


@pytest.mark.parametrize("page", [README, *(p.read_text("utf-8") for p in sorted((ROOT / "docs").glob("*.md")))])
def test_python_on_the_pages_is_python(page: str) -> None:
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        if ">>>" not in code and "initium.module(Mixer)" not in code and not re.match(r"[\w.]+\(.*\)\n$|[\w.]+\n$", code):
            compile(code, "page", "exec")


def test_the_five_ways_of_the_readme_run() -> None:
    code = README.split("## Five ways")[1].split("```python\n")[1].split("```")[0]
    exec(compile(code, "README.md", "exec"), {})


def test_links_between_files_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"):
        path = ROOT / name
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8")):
            assert target.startswith("https://") or (path.parent / target).exists(), f"{name}: {target}"


def test_the_readme_has_two_commands_and_ci_runs_the_second() -> None:
    demo, tests = re.findall(r"```sh\n(python3 -m venv .*)\n```", README)
    assert demo.endswith("initium demo")
    assert ".venv/bin/pytest" in tests
    assert tests in (ROOT / ".ci" / "run").read_text("utf-8")
