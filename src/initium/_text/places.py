"""Where in a JSON text a value stands. Slow and only run for error messages; the text has been parsed before."""

from __future__ import annotations

import re
from collections.abc import Iterator

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
Path = tuple[str | int, ...]


def places(text: str) -> Iterator[tuple[Path, int]]:
    """(path, index) of every value in the text, a mapping before what is in it; the index is that of its key where it has one."""
    path: list[str | int] = []
    closers: list[str] = []
    key_at: int | None = None
    expects_key = False
    for token in TOKEN.finditer(text):
        mark, start = token[0], token.start()
        if mark in "}]":
            closers.pop()
            path.pop()
            expects_key = False
        elif mark == ",":
            if closers[-1] == "]":
                path[-1] = int(path[-1]) + 1
            expects_key = closers[-1] == "}"
        elif mark == ":":
            expects_key = False
        elif expects_key:
            path[-1], key_at = _unquoted(mark), start
        else:
            yield tuple(path), start if key_at is None else key_at
            key_at = None
            if mark in "{[":
                closers.append("}" if mark == "{" else "]")
                path.append("" if mark == "{" else 0)
                expects_key = mark == "{"


def _unquoted(token: str) -> str:
    import json

    return str(json.loads(token))


def place_of(text: str, path: Path) -> tuple[int, int]:
    """(line, column), from 1, of the value at a path, or of the nearest value around it."""
    best, depth = 0, -1
    for found, index in places(text):
        if len(found) > depth and found == path[: len(found)]:
            best, depth = index, len(found)
    return line_and_column(text, best)


def repeated_key(text: str) -> tuple[int, int, str]:
    """(line, column, key) of the first key that stands a second time in its mapping."""
    seen: set[Path] = set()
    for path, index in places(text):
        if path in seen:
            return (*line_and_column(text, index), str(path[-1]))
        seen.add(path)
    return 1, 1, ""


def line_and_column(text: str, index: int) -> tuple[int, int]:
    """The place of a character, counted from 1."""
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1
