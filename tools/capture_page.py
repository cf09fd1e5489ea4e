"""The tables of docs/capture.md, from the results that tools/capture_table.py keeps."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Results = dict[str, dict[str, Any]]
LIBRARIES = ("timm", "torchvision", "transformers")


def write_page(page: Path, everything: Results, alike: Results) -> None:
    """Put the tables between their marks."""
    text = page.read_text("utf-8")
    for mark, table in (
        ("everything", everything_table(everything)),
        ("not whole", not_whole(everything)),
        ("fail alone", fail_alone(everything)),
        ("alike", alike_table(alike)),
        ("not alike", not_alike(alike)),
    ):
        text = re.sub(
            rf"(<!-- capture: {mark} -->\n).*?(<!-- end -->)",
            lambda found, t=table: f"{found[1]}{t}\n{found[2]}",
            text,
            flags=re.S,
        )
    page.write_text(text, "utf-8")


def markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)


def everything_table(results: Results) -> str:
    """Models, elements, how many of them are claimed, time."""
    rows = []
    for library in (*LIBRARIES, ""):
        mine = {name: r for name, r in results.items() if name.startswith(library)}
        done = [r for r in mine.values() if "error" not in r]
        alone = sum(_fails_alone(r) for r in mine.values())
        elements, undefined = sum(r["elements"] for r in done), sum(r["undefined"] for r in done)
        seconds = sorted(r["seconds"] for r in done)
        rows.append(
            (
                library or "**all**",
                f"{len(mine):,}",
                f"{len(done):,}",
                f"{alone:,}",
                f"{len(mine) - len(done) - alone:,}",
                f"{elements / 1e9:,.1f} G",
                f"{100 * (elements - undefined) / max(elements, 1):.4g} %",
                f"{seconds[len(seconds) // 2]:.2f} s" if seconds else "",
                f"{sum(seconds) / 60:.1f} min",
            )
        )
    head = (
        "library",
        "models",
        "captured",
        "fail without capture too",
        "other failures",
        "elements",
        "claimed",
        "median",
        "together",
    )
    return markdown(head, rows)


def _fails_alone(result: dict[str, Any]) -> bool:
    """With the same kind of error, that is: one that was ended for its memory proves nothing."""
    return "error" in result and result.get("alone", "").partition(":")[0] == result["error"].partition(":")[0]


def not_whole(results: Results) -> str:
    """Every model of which not all elements are claimed, or that only capture fails on, with the reason."""
    rows = [
        (f"`{name}`", f"{r['undefined']:,} of {r['elements']:,}", f"nobody fills {', '.join(r['lost'])}")
        for name, r in sorted(results.items())
        if r.get("undefined")
    ]
    rows += [
        (f"`{name}`", "all", r["error"].split("\n")[0][:160])
        for name, r in sorted(results.items())
        if "error" in r and not _fails_alone(r)
    ]
    return markdown(("model", "elements", "reason"), rows) if rows else "None."


def fail_alone(results: Results) -> str:
    """Constructors that stop without capture too."""
    by_reason: dict[str, list[str]] = {}
    for name, r in sorted(results.items()):
        if _fails_alone(r):
            by_reason.setdefault(r["error"].strip().split("\n")[0][:120], []).append(f"`{name.partition(':')[2]}`")
    rows = [(reason, ", ".join(names)) for reason, names in by_reason.items()]
    return markdown(("error", "classes"), rows) if rows else "None."


def alike_table(results: Results) -> str:
    """How many were built both ways, and how many are alike."""
    kinds: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("torchvision", lambda name: name.startswith("torchvision:")),
        ("timm", lambda name: name.startswith("timm:")),
        ("transformers, shrunk", lambda name: name.startswith("hf:")),
        ("**all**", lambda name: True),
    )
    rows = []
    for title, mine in kinds:
        found = [r for name, r in results.items() if mine(name) and "differences" in r]
        rows.append(
            (
                title,
                f"{len(found):,}",
                f"{sum(r['tensors'] for r in found):,}",
                f"{sum(not r['differences'] for r in found):,}",
                f"{sum(bool(r['differences']) for r in found):,}",
            )
        )
    return markdown(("library", "models built both ways", "tensors compared", "alike", "not alike"), rows)


def not_alike(results: Results) -> str:
    rows = [(f"`{name}`", "; ".join(r["differences"])[:300]) for name, r in sorted(results.items()) if r.get("differences")]
    return markdown(("model", "what differs"), rows) if rows else "None."
