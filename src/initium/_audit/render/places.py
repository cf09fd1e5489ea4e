"""From ``models/net.py:7 __init__``, as a finding says it, to the file and the line that editors and code scanners open."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

_SAID = re.compile(r"(?P<path>.+?):(?P<line>\d+)(?: (?P<function>.*))?")


class Place(NamedTuple):
    """A line of code.

    Args:
        uri: percent-encoded path, with ``/`` between its parts.
        base: what the path is relative to: ``SRCROOT``, the folder that one works in; ``PYTHONPATH``, one that Python imports from; ""
            for an absolute path.
        line: from 1.
        function: whose line it is.
    """

    uri: str
    base: str
    line: int
    function: str


def place_of(source: str | None) -> Place | None:
    """The place that the words name; None where they name no file, as for code typed at a prompt."""
    found = _SAID.fullmatch(source) if source else None
    if found is None or found["path"].startswith("<"):
        return None
    path, base = _relative(Path(found["path"]))
    return Place(_uri(path), base, max(int(found["line"]), 1), found["function"] or "")


def _relative(path: Path) -> tuple[Path, str]:
    """The path from the working folder if the file lies below it, however Python came to it."""
    here = Path.cwd()
    for root in (here, *map(Path, sys.path)):
        whole = (root / path).absolute()
        if whole.is_file():
            if whole.is_relative_to(here) and "site-packages" not in whole.parts:
                return whole.relative_to(here), "SRCROOT"
            break
    return (path, "") if path.is_absolute() else (path, "PYTHONPATH")


def _uri(path: Path) -> str:
    return quote(path.as_posix()) if not path.is_absolute() else path.as_uri()
