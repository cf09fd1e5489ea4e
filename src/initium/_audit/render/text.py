"""A report for the terminal: the worst first, equal tensors together, names made printable."""

from __future__ import annotations

import textwrap

from ..._errors import counted
from ..._grouping import grouped
from ..._table import terminal_width
from ..report import Finding, Report

_MARK = {"error": "error", "warning": "warning", "info": "note"}
_MOST = 4  # names, or ranges of them, that are listed of a finding about several


def text(report: Report, least: str = "info", width: int | None = None) -> str:
    """The report; findings below ``least`` are only counted."""
    width = max(min(width or terminal_width(), 120), 40)
    shown = report.at_least(least)
    head = f"{printable(report.label)}: {counted(report.measured.parameters, 'parameter')}"
    head += f", {counted(len(report.measured.tensors), 'tensor')}, seed {report.seed}"
    if report.measured.inputs:
        head += f", run on {report.measured.inputs}"
    blocks = [_wrapped(head, "", "  ", width)]
    blocks += [_finding(finding, width) for finding in shown]
    blocks.append(_foot(report, len(report.findings) - len(shown), width))
    return "\n\n".join(blocks)


def _finding(finding: Finding, width: int) -> str:
    lines = [f"{_MARK[finding.severity]}  {finding.code}  {finding.title}"]
    many = f"  (×{len(finding.names)})" if len(finding.names) > 1 else ""
    lines.append(f"  {printable(finding.name) or 'the whole model'}{many}")
    titles = [group.title for group in grouped((name, None) for name in finding.names)]
    if len(titles) > 1:
        rest = [printable(title) for title in titles if title != finding.name][:_MOST]
        more = len(titles) - 1 - len(rest)
        lines.append(_wrapped(", ".join(rest) + (f", … {more} more" if more > 0 else ""), "  and ", "      ", width))
    lines.append(_wrapped(printable(finding.message), "  ", "  ", width))
    lines.append(_wrapped(printable(finding.fix), "  fix: ", "       ", width))
    if finding.source:
        lines.append(f"  at {printable(finding.source)}")
    return "\n".join(lines)


def _foot(report: Report, hidden: int, width: int) -> str:
    counts = [(report.count("error"), "error"), (report.count("warning"), "warning"), (report.count("info"), "note")]
    said = ", ".join(counted(n, word) for n, word in counts if n) or "nothing found"
    lines = [f"{said}; {counted(len(report.passed), 'check')} passed, {len(_codes(report))} not run"]
    if hidden:
        lines.append(f"{hidden} of less weight not shown: --min-severity info shows them")
    by_reason: dict[str, list[str]] = {}
    for one in report.not_run:
        by_reason.setdefault(one.reason, []).append(one.what)
    for reason, codes in by_reason.items():
        lines.append(_wrapped(f"{', '.join(codes)}: {printable(reason)}", "not run: ", "         ", width))
    return "\n".join(lines)


def _codes(report: Report) -> list[str]:
    return [one.what for one in report.not_run if one.what[-1:].isdigit()]


def _wrapped(words: str, first: str, rest: str, width: int) -> str:
    return "\n".join(
        textwrap.wrap(
            words, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
        )
        or [first]
    )


def printable(words: str) -> str:
    """Text without control characters: what a name holds must not steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in words)
