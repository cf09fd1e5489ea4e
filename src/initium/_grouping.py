"""Group full names that differ in one or more indices: ``layers.{0..21}.mlp.up_proj.weight``. For tables and messages."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

_INDEX = re.compile(r"(?<![^.])\d+(?![^.])")


def without_indices(name: str) -> str:
    """``layers.*.weight``: what the names of one stack have in common."""
    return _INDEX.sub("*", name)


@dataclass(frozen=True)
class Group:
    """Names that differ in indices alone and share a key."""

    names: tuple[str, ...]
    title: str  # ``layers.{0..3}.weight``
    glob: str  # ``layers.*.weight``


def grouped(items: Iterable[tuple[str, Hashable]]) -> list[Group]:
    """Group (name, key) pairs: same key, and same name once the indices are taken out; in order of first appearance."""
    found: dict[Hashable, list[str]] = {}
    for name, key in items:
        found.setdefault((without_indices(name), key), []).append(name)
    return [
        Group(tuple(names), _title(names), without_indices(names[0]) if len(names) > 1 else names[0])
        for names in found.values()
    ]


def _title(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    columns = zip(*(_INDEX.findall(name) for name in names), strict=True)
    ranges = iter([_range([int(index) for index in column]) for column in columns])
    return _INDEX.sub(lambda _: next(ranges), names[0])


def _range(indices: list[int]) -> str:
    values = sorted(set(indices))
    if len(values) == 1:
        return str(values[0])
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    shown = [str(a) if a == b else f"{a}..{b}" if b > a + 1 else f"{a},{b}" for a, b in runs]
    if len(shown) > 4:
        shown = [*shown[:3], "…"]
    return "{" + ",".join(shown) + "}"
