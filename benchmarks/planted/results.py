"""The evidence that a stable check stands on: a bug in a released model, or a planted one that costs something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "results"
FILE = RESULTS / "planted.jsonl"
RELEASED = RESULTS / "audit_models.jsonl"


def rows() -> list[dict[str, Any]]:
    """What each planted bug costs."""
    return _lines(FILE)


def released() -> dict[str, list[tuple[str, str]]]:
    """Code -> (model, tensor) of released models that have it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in _lines(RELEASED):
        for code, _, name, *_ in row.get("findings", ()):
            found.setdefault(code, []).append((row["model"], name))
    return found


def evidence() -> dict[str, list[str]]:
    """Code -> sentences that show what its bug does: planted bugs that cost something, released models that have it."""
    found = {row["code"]: [sentence(row)] for row in rows() if row["costs"]}
    for code, hits in released().items():
        models = list(dict.fromkeys(model for model, _ in hits))
        more = f" and {len(models) - 3} more" if len(models) > 3 else ""
        found.setdefault(code, []).append("found in " + ", ".join(f"`{model}`" for model in models[:3]) + more)
    return found


def sentence(row: dict[str, Any]) -> str:
    """What a planted bug costs, in words."""
    bad, good = row["bad"], row["good"]
    if bad.get("error", "").startswith(("RuntimeError", "NotImplementedError")):
        return f"{row['what']}: training stops with a {bad['error'].split(':')[0]}; without it {_said(good)}"
    return f"{row['what']}: {_said(bad)}; without it {_said(good)}"


def _said(outcome: dict[str, Any]) -> str:
    if outcome["loss"] is None:
        return "the loss is not finite"
    return f"{outcome['accuracy']:.0%} right, loss {outcome['loss']:.2f}"


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
