"""A check's page and the list of all checks, as text."""

from __future__ import annotations

from .._table import columns, terminal_width
from .registry import SECTIONS, Check, checks

_CODE = ("Example", "Use instead")


def page(one: Check) -> str:
    """What ``initium explain`` prints."""
    state = "preview" if one.preview else "stable"
    parts = [f"{one.code}  {one.name}  ({one.severity}, level {one.level}, {state})", one.summary]
    for title in SECTIONS:
        said = one.section(title)
        if said:
            parts.append(f"{title}\n" + "\n".join(f"    {line}".rstrip() for line in said.replace("``", "").split("\n")))
    return "\n\n".join(parts)


def listed() -> str:
    """Every check in a line."""
    rows = [("code", "severity", "level", "", "finds")]
    rows += [(c.code, c.severity, c.level, "preview" if c.preview else "", c.name) for c in checks().values()]
    return "\n".join(columns(rows, terminal_width()))
