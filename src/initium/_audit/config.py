"""What a project says once: ``[tool.initium]`` in pyproject.toml, and the findings it has accepted, its baseline."""

from __future__ import annotations

import contextlib
import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._errors import FileError, nearest
from .._files import read_text
from .report import Report

_KNOWN: dict[str, type | tuple[type, ...]] = {
    "select": (str, list),
    "ignore": (str, list),
    "level": str,
    "preview": bool,
    "min-severity": str,
    "baseline": str,
}


def configured(folder: Path) -> dict[str, Any]:
    """The ``[tool.initium]`` table of the nearest pyproject.toml at or above a folder; {} where there is none.

    Raises:
        FileError: the file is not TOML, a word or its type is not known, or Python 3.10 has no tomli to read it with.
    """
    path = next((at / "pyproject.toml" for at in (folder, *folder.parents) if (at / "pyproject.toml").is_file()), None)
    if path is None:
        return {}
    text = read_text(path, "TOML")
    if "tool" not in text or "initium" not in text:
        return {}
    tomllib = _toml_reader()
    if tomllib is None:
        if "[tool.initium" not in text:
            return {}
        raise FileError(
            f"{path} has a [tool.initium] table, which Python 3.10 reads by a package of its own: pip install tomli"
        )
    try:
        table = tomllib.loads(text).get("tool", {}).get("initium", {})
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{path}: {error}") from None
    for key, value in table.items():
        if key not in _KNOWN:
            raise FileError(f"{path}: [tool.initium] has no {key!r}.{nearest(key, _KNOWN)} Known: {', '.join(_KNOWN)}")
        if not isinstance(value, _KNOWN[key]):
            raise FileError(f"{path}: [tool.initium] {key} = {value!r} has the wrong type")
    if "baseline" in table:
        table["baseline"] = str(path.parent / table["baseline"])
    return dict(table)


def _toml_reader() -> Any:
    """Python's tomllib, from 3.11 on, or tomli, which it was; else None."""
    for name in ("tomllib", "tomli"):
        with contextlib.suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    return None


def baseline_marks(path: Path) -> set[str]:
    """The fingerprints in a JSON report.

    Raises:
        FileError: it is not one.
    """
    try:
        return {finding["fingerprint"] for finding in json.loads(read_text(path, "a report"))["findings"]}
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} is not a report: initium audit … --format json -o {path.name} writes one") from None


def without(report: Report, known: set[str]) -> Report:
    """The report without findings that have these fingerprints."""
    return replace(report, findings=tuple(f for f in report.findings if f.fingerprint not in known))
