"""Refresh what the program itself says in the documentation: outputs of commands, example files, tables, the API page.

``python tools/docs.py`` rewrites, ``python tools/docs.py --check`` lists what is stale and exits 1. In a page it looks for

    <!-- output: python examples/1_tensor.py -->      what the command prints, exact on every machine
    <!-- varies: initium demo -->                     the same, but different each time: only refreshed, never compared
                                                      (what begins with a Markdown table stays one)
    <!-- file: examples/1_tensor.py -->               the file
    <!-- table: recipes -->                           a table of the program's own (the functions ``table_…`` below)

each up to the next ``<!-- end -->``. It also makes the pages of recipes and initializers, with their pictures (``figures_*.py``), and is
mkdocs' hook: the build fails where a public name is undocumented.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))  # mkdocs loads this file by its path
from docstrings import as_markdown, documented, first_paragraph, signature  # noqa: E402

API = ROOT / "docs" / "api.md"
FAMILIES = ROOT / "docs" / "recipes"
INITIALIZERS = ROOT / "docs" / "initializers"
FIGURES = ROOT / "docs" / "figures"
BLOCK = re.compile(r"(<!-- (output|varies|file|table): (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
WIDTH = 120


def pages() -> list[Path]:
    """Every page with marked blocks."""
    return [
        path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if BLOCK.search(path.read_text("utf-8"))
    ]


def refreshed(text: str, varying: bool = False) -> str:
    """The page with its blocks as they should be; those that vary only when asked."""

    def block(found: re.Match[str]) -> str:
        head, kind, what, old, end = found.groups()
        if kind == "varies" and not varying:
            return head + old + end
        if kind in ("output", "varies"):
            said = output(what)
            return f"{head}{said}\n{end}" if said.startswith("| ") else f"{head}```text\n{said}\n```\n{end}"
        if kind == "file":
            return f"{head}```python\n{(ROOT / what).read_text('utf-8').rstrip()}\n```\n{end}"
        return f"{head}{globals()['table_' + what]()}\n{end}"

    return BLOCK.sub(block, text)


@functools.cache
def output(command: str) -> str:
    """What a command prints, run at the root of the repository with this Python and a terminal of 120 columns."""
    program, *arguments = shlex.split(command)
    argv = {
        "python": [sys.executable],
        "initium": [sys.executable, "-c", "from initium.cli import main; main(prog_name='initium')"],
    }[program]
    if program == "python":
        arguments[0] = str(ROOT / arguments[0])
    path = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "COLUMNS": str(WIDTH), "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"}
    with tempfile.TemporaryDirectory() as folder:  # what a command writes stays out of the repository
        done = subprocess.run([*argv, *arguments], cwd=folder, env=env, capture_output=True, encoding="utf-8", check=False)
    if done.returncode and not (done.returncode == 1 and arguments[0] in ("audit", "diff")):  # 1: it found something
        raise SystemExit(f"{command}: exit {done.returncode}\n{done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def table_initializers() -> str:
    """Every registered initializer: its class and arguments, its name in text, its law in a sentence."""
    import initium
    from initium.initializers import Initializer

    rows = []
    for name, cls in sorted(Initializer._registry.items()):
        if not hasattr(initium, cls.__name__) or not cls.__module__.startswith("initium."):
            continue
        fields = [field for field in dataclasses.fields(cls) if not field.name.endswith("_axes")]  # type: ignore[arg-type]
        shown = ", ".join(f.name if f.default is dataclasses.MISSING else f"{f.name}={f.default!r}" for f in fields)
        page = f"initializers/{cls.__module__.rpartition('.')[2].replace('_', '-')}.md#{cls.__name__.lower()}"
        rows.append((f"[`{cls.__name__}({shown})`]({page})", f"`{name}`", first_paragraph(cls.__doc__)))
    return markdown(("initializer", "in a text recipe", "what a tensor gets"), rows)


def table_recipes() -> str:
    """Every named recipe with its aliases, what it does and when to use it."""
    from initium._recipe import named_recipes

    rows = []
    for name, entry in named_recipes().items():
        page = f"recipes/{entry.family.replace('_', '-')}.md"
        names = ", ".join((f"[`{name}`]({page}#{name})", *(f"`{alias}`" for alias in entry.aliases)))
        rows.append((names, entry.summary.replace("``", "`"), entry.said("Use when").replace("``", "`")))
    return markdown(("recipe", "what a network gets", "use when"), rows)


def table_checks() -> str:
    """Every check of the audit in a line, with a link to its page."""
    from initium._audit.registry import checks

    rows = []
    for code, one in checks().items():
        state = f"{one.severity}, preview" if one.preview else one.severity
        rows.append((f"[{code}](findings.md#{code.lower()})", one.name, state, one.level, one.summary))
    return markdown(("code", "finds", "severity", "level", "what it is"), rows)


def table_findings() -> str:
    """The page of each check: why, the bad model, the good one, and what the audit says of the bad one."""
    from initium._audit.registry import checks

    sys.path.insert(0, str(ROOT / "benchmarks"))
    from planted.results import evidence

    shown = evidence()
    parts = []
    for code, one in checks().items():
        told = _audited_example(code)
        happens = "".join(f"*What happens*: {said}\n\n" for said in shown.get(code, ()))
        said = "\n\n".join(one.section(title).replace("``", "`") for title in ("What it does", "Why it is bad"))
        state = " · preview: ask for it by `--preview`" if one.preview else ""
        parts.append(
            f"## {code}\n\n**{one.name}** · {one.severity} · level {one.level}{state}\n\n{one.summary.replace('``', '`')}\n\n{said}\n\n"
            f"```python\n{one.section('Example')}\n```\n\n{told}\n\n{happens}Instead:\n\n```python\n{one.section('Use instead')}\n```\n\n"
            f"*Fix*: {one.section('Fix safety').replace('``', '`')}\n\n*Met in*: {one.section('References').replace('``', '`')}"
        )
    return "\n\n".join(parts)


def _audited_example(code: str) -> str:
    """What the audit says of a page's bad model."""
    sys.path.insert(0, str(ROOT / "tests" / "audit"))
    from cases import audited

    from initium._audit.registry import checks

    found = audited(checks()[code], "Example").findings
    return "\n".join(f"> `{f.name or 'the whole model'}`: {f.message.replace('<', '&lt;')}" for f in found)


def table_audited_models() -> str:
    """What the audit found in released models, by tools/audit_table.py."""
    import audit_table

    return audit_table.table()


def table_fans() -> str:
    """Fans of torch's modules: what the shape alone says, and what the module does."""
    from torch import nn
    from torch.nn.init import _calculate_fan_in_and_fan_out

    from initium import Recipe, Rule, plan

    cases = [
        ("Linear(8, 32)", nn.Linear(8, 32), "weight"),
        ("Conv2d(8, 32, 3)", nn.Conv2d(8, 32, 3), "weight"),
        ("Conv2d(32, 32, 3, groups=32)", nn.Conv2d(32, 32, 3, groups=32), "weight"),
        ("ConvTranspose2d(8, 32, 3)", nn.ConvTranspose2d(8, 32, 3), "weight"),
        ("MultiheadAttention(64, 4)", nn.MultiheadAttention(64, 4), "in_proj_weight"),
        ("LSTM(8, 32)", nn.LSTM(8, 32), "weight_hh_l0"),
        ("GRU(8, 32)", nn.GRU(8, 32), "weight_ih_l0"),
        ("Embedding(1000, 64)", nn.Embedding(1000, 64), "weight"),
        ("Bilinear(4, 5, 6)", nn.Bilinear(4, 5, 6), "weight"),
    ]
    rows = []
    for title, module, name in cases:
        entry = plan(module, Recipe([Rule("**", "normal")]), seed=0)[name]
        torchs = _calculate_fan_in_and_fan_out(module.get_parameter(name))
        ours = (entry.fan_in, entry.fan_out)
        shape = "×".join(map(str, entry.shape))
        rows.append(
            (
                f"`{title}`",
                f"`{name}` {shape}",
                f"{torchs[0]}, {torchs[1]}",
                f"{ours[0]}, {ours[1]}" if ours != torchs else "the same",
            )
        )
    return markdown(("module", "weight", "from the shape (torch): in, out", "from the module (initium)"), rows)


def api() -> str:
    """The API page: every public name with its signature and docstring.

    Raises:
        SystemExit: a public name has no docstring.
    """
    import initium

    names = [name for name in initium.__all__ if name != "init"]
    undocumented = [name for name in names if not getattr(initium, name).__doc__]
    if undocumented:
        raise SystemExit(f"no docstring: {', '.join(undocumented)}")
    groups: dict[str, list[str]] = {"Functions": [], "Recipes, rules, plans": [], "Initializers": []}
    for name in names:
        thing = getattr(initium, name)
        is_initializer = inspect.isclass(thing) and issubclass(thing, initium.Initializer)
        group = "Initializers" if is_initializer else "Functions" if name.islower() else "Recipes, rules, plans"
        groups[group].append(name)
    parts = [
        "# API\n\nMade by `tools/docs.py` from the docstrings. The functions of `initium.init` have "
        "[a page of their own](init.md)."
    ]
    for title, members in groups.items():
        parts.append(f"## {title}")
        parts += [documented(name, getattr(initium, name)) for name in members]
    return "\n\n".join(parts) + "\n"


def families() -> dict[Path, str]:
    """The pages of the recipes, one a family: what a file of ``src/initium/recipes`` says of itself and of its recipes."""
    import importlib

    from initium._recipe import named_recipes
    from initium.recipes import FAMILIES as names

    made = {}
    for family in names:
        module = importlib.import_module(f"initium.recipes.{family}")
        said, _, more = inspect.cleandoc(module.__doc__ or "").replace("``", "`").partition("\n\n")
        parts = [
            f"# {family.replace('_', ' ')}",
            "Made by `tools/docs.py` from the docstrings.",
            said,
            *([more] if more else []),
        ]
        for name, entry in named_recipes().items():
            if entry.factory.__module__ != module.__name__:
                continue
            knobs = ", ".join(f"{p.name}={p.default!r}" for p in inspect.signature(entry.factory).parameters.values())
            also = f"\n\nAlso called {', '.join(f'`{alias}`' for alias in entry.aliases)}." if entry.aliases else ""
            call = f'initium.recipe("{name}"{", " + knobs if knobs else ""})'
            parts.append(f"## {name}\n\n```python\n{call}\n```{also}")
            parts.append(as_markdown(inspect.getdoc(entry.factory) or ""))
            parts.append(_picture("recipes", name))
            parts.append("The rules, of which the last that matches wins:")
            parts.append("\n".join(f"- `{rule}`{', optional' if rule.optional else ''}" for rule in entry.factory().rules))
        made[FAMILIES / f"{family.replace('_', '-')}.md"] = "\n\n".join(parts) + "\n"
    return made


def initializer_pages() -> dict[Path, str]:
    """The pages of the initializers, one for each file of ``src/initium/initializers``."""
    made: dict[Path, str] = {}
    for name, cls in _initializers():
        path = INITIALIZERS / f"{cls.__module__.rpartition('.')[2].replace('_', '-')}.md"
        title = f"# {path.stem.replace('-', ' ')}\n\nMade by `tools/docs.py` from the docstrings.\n"
        text = f"{made.get(path, title)}\n## {cls.__name__}\n\n```python\n{cls.__name__}{signature(cls)}\n```\n\n"
        said = f"In a text recipe it is called `{name}`."
        picture = _picture("initializers", name)
        made[path] = text + "\n\n".join(filter(None, (said, as_markdown(inspect.getdoc(cls) or ""), picture))) + "\n"
    return made


def _initializers() -> list[tuple[str, type]]:
    """Those of the package itself, the first of each file first."""
    from initium.initializers import Initializer

    ours = [(name, cls) for name, cls in Initializer._registry.items() if cls.__module__.startswith("initium.initializers.")]
    return sorted(ours, key=lambda one: (one[1].__module__, inspect.getsourcelines(one[1])[1]))


def _picture(kind: str, name: str) -> str:
    figure = figures().get(FIGURES / kind / f"{name}.svg")
    return "" if figure is None else f"![{figure.caption}](../figures/{kind}/{name}.svg)\n\n*{figure.caption}*"


@functools.cache
def figures() -> dict[Path, Any]:
    """The picture of every recipe and initializer, from weights drawn now: SVG text and caption by file."""
    import figures_initializers
    import figures_recipes
    import torch

    from initium._recipe import named_recipes

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small tensors, and sums in one order
    try:
        made = {FIGURES / "recipes" / f"{name}.svg": figures_recipes.figure(name) for name in named_recipes()}
        drawn = {FIGURES / "initializers" / f"{name}.svg": figures_initializers.figure(name) for name, _ in _initializers()}
    finally:
        torch.set_num_threads(threads)
    return {**made, **{path: figure for path, figure in drawn.items() if figure is not None}}


def generated() -> dict[Path, str]:
    """Every file under ``docs`` that is made whole: the API, pages of recipes and initializers, pictures."""
    pictures = {path: figure.text for path, figure in figures().items()}
    return {API: api(), **families(), **initializer_pages(), **pictures}


def _strays(made: Iterable[Path]) -> set[Path]:
    """Files in the folders of made files that nothing makes any more."""
    lying = [*FAMILIES.glob("*.md"), *INITIALIZERS.glob("*.md"), *FIGURES.glob("*/*.svg")]
    return set(lying).difference(made)


def on_config(config: dict) -> dict:  # type: ignore[type-arg]
    """mkdocs: the pages of recipes and initializers stand in the navigation by themselves."""
    for above, title, folder in (
        ("Recipes and rules", "Recipes by family", FAMILIES),
        ("Initializers", "One by one", INITIALIZERS),
    ):
        made = [{path.stem.replace("-", " "): f"{folder.name}/{path.name}"} for path in sorted(folder.glob("*.md"))]
        at = next(i for i, entry in enumerate(config["nav"]) if above in entry)
        config["nav"].insert(at + 1, {title: made})
    return config


def stale() -> list[str]:
    """The pages that are not what the program says."""
    old = [str(path.relative_to(ROOT)) for path in pages() if refreshed(text := path.read_text("utf-8")) != text]
    made = generated()
    old += [str(path.relative_to(ROOT)) for path, text in made.items() if not path.exists() or path.read_text("utf-8") != text]
    return old + [str(path.relative_to(ROOT)) for path in sorted(_strays(made))]


def on_pre_build(config: object) -> None:
    """mkdocs: refuse to build with a public name that is undocumented, or missing on the API page."""
    import initium

    api()
    page = API.read_text("utf-8")
    missing = [name for name in initium.__all__ if name != "init" and f"### {name}\n" not in page]
    if missing:
        raise SystemExit(f"not on docs/api.md: {', '.join(missing)}; run: python tools/docs.py")


def main() -> None:
    if "--check" in sys.argv:
        old = stale()
        raise SystemExit(f"stale: {', '.join(old)}; run: python tools/docs.py" if old else 0)
    made = generated()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for path in _strays(made):
        path.unlink()
    for path in pages():
        path.write_text(refreshed(path.read_text("utf-8"), varying="--all" in sys.argv), "utf-8")


if __name__ == "__main__":
    main()
