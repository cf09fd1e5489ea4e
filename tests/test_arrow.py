"""Data flows one way (DESIGN 6): nothing below knows what is above it. This reads every import of the package and holds the arrow."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import initium

PACKAGE = Path(initium.__file__).parent

# Lowest first; a package is one room. A room may import, when it is loaded, those before it only.
LAYERS = [
    *(
        "__init__",
        "_errors",
        "_uncompiled",
        "_collector",
        "_tuples",
        "_plugins",
        "_files",
        "_grouping",
        "_patterns",
        "_expressions",
    ),  # needs nothing of the rest
    *("_normal_table", "_stream", "_laws"),  # a key and an index -> a number; what it is drawn from
    *("_quadrature", "_gains", "_fans", "_programs", "initializers"),  # what one tensor gets
    *("_tensors", "_parametrized", "_layouts", "_torch_defaults"),  # what a tensor and a module are
    *("backends", "_regions", "_execute", "_sharded"),  # numbers into memory: a backend knows no modules
    *("_init", "init"),  # one tensor that has no name
    *("_inventory", "_missing", "_structure", "_rules", "_recipe", "recipes"),  # which tensors of a network, and what they get
    *(
        "_entry",
        "_plan",
        "_table",
        "_blame",
        "_text",
        "_planner",
    ),  # the plan: data, how it looks, how it is kept, how it is decided
    *("_copied", "_apply", "_checkpoint", "_capture", "_declare", "_measure"),  # what is done with plans
    *("_models", "_audit", "integrations", "demo", "cli", "__main__"),
]

# Upward, and only when a function is called. Each has its reason; a new one needs a better one.
LATER = {
    ("initializers", "_init"): "Normal(std=0.02)(3, 4) makes a tensor, which a drop-in fills",
    ("_recipe", "_text"): "recipe('file.yaml') reads a file",
    ("_recipe", "recipes"): "the named recipes register themselves",
    ("_plan", "_apply"): "plan.apply",
    ("_plan", "_checkpoint"): "plan.write",
    ("_plan", "_measure"): "plan.diff and plan.fingerprint",
    ("_plan", "_table"): "print(plan)",
    ("_plan", "_blame"): "plan.blame",
    ("_plan", "_text"): "plan.save and Plan.load",
    ("_text", "_capture"): "the initializers that stand for captured code register themselves before a file is read",
}


class Import(NamedTuple):
    """One import within the package."""

    file: str
    line: int
    source: str  # the room that imports
    target: str  # the room that is imported
    later: bool  # within a function


def imports(file: Path, package: Path = PACKAGE) -> Iterator[Import]:
    """The imports of one file from rooms other than its own; those for the type checker alone are left out."""
    relative = file.relative_to(package)
    room, folder = relative.parts[0].removesuffix(".py"), list(relative.parent.parts)

    def targets(node: ast.Import | ast.ImportFrom) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("initium.")]
        path = (node.module or "").split(".") if node.module else []
        if node.level:
            path = [*folder[: len(folder) - node.level + 1], *path]
        elif path[0] == "initium":
            path = path[1:]
        else:
            return []
        if path:
            return [path[0]]
        names = (alias.name for alias in node.names)
        return [name if (package / name).is_dir() or (package / f"{name}.py").is_file() else "__init__" for name in names]

    def walk(node: ast.AST, later: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, (ast.Import, ast.ImportFrom)):
                for target in targets(child):
                    if target != room:
                        yield Import(str(relative), child.lineno, room, target, later)
            yield from walk(child, later or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), False)


def complaints(package: Path, layers: list[str], later: dict[tuple[str, str], str]) -> list[str]:
    """What is wrong with a package's imports, a sentence each."""
    found: list[str] = []
    height = {room: index for index, room in enumerate(layers)}
    for file in sorted(package.rglob("*.py")):
        room = file.relative_to(package).parts[0].removesuffix(".py")
        if room not in height:
            found.append(f"{room} is new: put it into LAYERS in tests/test_arrow.py, above all that it imports")
            continue
        for one in imports(file, package):
            if one.target not in height:
                continue  # its own file says so
            allowed = one.later and (one.source, one.target) in later
            if height[one.target] > height[one.source] and not allowed:
                found.append(
                    f"{one.file}:{one.line} imports {one.target}, which is above {one.source}: move what both need below, hand it in "
                    f"as an argument, or, within a function and with a reason, name the pair in LATER"
                )
    return list(dict.fromkeys(found))


def test_nothing_knows_what_is_above_it() -> None:
    assert complaints(PACKAGE, LAYERS, LATER) == []


def test_no_room_stands_twice_and_no_exception_has_outlived_its_import() -> None:
    assert len(set(LAYERS)) == len(LAYERS)
    upward = {(one.source, one.target) for file in PACKAGE.rglob("*.py") for one in imports(file) if one.later}
    assert sorted(set(LATER) - upward) == []


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("from ._high import x", "_low.py:1 imports _high"),
        ("from initium._high import x", "_low.py:1 imports _high"),
        ("import initium._high", "_low.py:1 imports _high"),
        ("from . import _high", "_low.py:1 imports _high"),
        ("def f():\n    from ._high import x", "_low.py:2 imports _high"),
    ],
)
def test_an_import_upwards_is_found(tmp_path: Path, code: str, word: str) -> None:
    (tmp_path / "_low.py").write_text(code)
    (tmp_path / "_high.py").write_text("from ._low import y")
    (found,) = complaints(tmp_path, ["_low", "_high"], {})
    assert found.startswith(word)


def test_what_is_for_the_type_checker_or_has_a_reason_is_let_through(tmp_path: Path) -> None:
    (tmp_path / "_low.py").write_text("if TYPE_CHECKING:\n    from ._high import x\ndef f():\n    from ._high import x")
    (tmp_path / "_high.py").write_text("")
    assert complaints(tmp_path, ["_low", "_high"], {("_low", "_high"): "because"}) == []
    assert len(complaints(tmp_path, ["_low", "_high"], {})) == 1


def test_a_new_module_is_asked_to_take_its_place(tmp_path: Path) -> None:
    (tmp_path / "_new.py").write_text("")
    assert complaints(tmp_path, [], {}) == ["_new is new: put it into LAYERS in tests/test_arrow.py, above all that it imports"]


def loaded_by(code: str, *modules: str) -> list[str]:
    """Which of the modules are in ``sys.modules`` after that code, in a fresh interpreter."""
    script = f"import sys\n{code}\nprint(*(m for m in {modules!r} if m in sys.modules))"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


HEAVY = ("rich", "yaml", "click", "mpmath", "safetensors", "torchvision", "timm", "transformers", "initium._apply")


def test_importing_initium_brings_nothing_heavy() -> None:
    assert loaded_by("import initium", "torch", *HEAVY) == []


def test_initialising_a_model_loads_only_what_it_needs() -> None:
    """No table, no file format, no other library; mpmath and rich cost more than the work."""
    code = "import torch, initium\ninitium.initialize(torch.nn.Linear(2, 2), 'he', seed=0)"
    assert loaded_by(code, *HEAVY) == ["initium._apply"]
