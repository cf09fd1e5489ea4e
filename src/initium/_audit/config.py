"""What a project says once: ``[tool.initium]`` in pyproject.toml, and the findings it has accepted, its baseline."""

from __future__ import annotations

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
    """The table of the nearest pyproject.toml at or above a folder; {} where there is none, or no TOML reader (Python 3.10 without tomli).

    Raises:
        FileError: the file is not TOML, or a word or its type is not known.
    """
    path = next((at / "pyproject.toml" for at in (folder, *folder.parents) if (at / "pyproject.toml").is_file()), None)
    if path is None:
        return {}
    try:
        tomllib: Any = importlib.import_module("tomllib")
    except ModuleNotFoundError:
        return {}
    try:
        table = tomllib.loads(read_text(path, "TOML")).get("tool", {}).get("initium", {})
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
