"""The first part of the page: what was found, grouped by check; what passed; what could not be looked at, and why."""

from __future__ import annotations

from ...registry import checks
from ...report import Finding, Report
from .marks import anchor, breaking, code, counted, esc

WORD = {"error": "error", "warning": "warning", "info": "note"}
_MOST, _MOST_NAMES = 400, 60


def verdict(report: Report) -> str:
    """The counts, as words."""
    counts = [(report.count(severity), word) for severity, word in WORD.items()]
    found = ", ".join(counted(n, word) for n, word in counts if n)
    return found or "Nothing found"


def cards(report: Report, least: str, prefix: str = "") -> str:
    """The findings of that severity and above, those of one check under one heading."""
    shown = report.at_least(least)[:_MOST]
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in shown:
        groups.setdefault((finding.severity, finding.code), []).append(finding)
    used: set[str] = set()
    parts = [_group(found, prefix, used) for found in groups.values()]
    hidden = len(report.findings) - len(shown)
    if hidden:
        parts.append(f'<p class="quiet">{counted(hidden, "finding")} more, not shown here.</p>')
    return "".join(parts)


def _group(found: list[Finding], prefix: str, used: set[str]) -> str:
    first = found[0]
    one = checks().get(first.code)
    means = ""
    if one is not None:
        why = " ".join(one.section("Why it is bad").split())
        means = (
            f"<details class=means><summary>What this means</summary><p>{code(one.summary)}</p><p>{code(why)}</p>"
            f"<h4>Instead of</h4><pre>{esc_lines(one.section('Example'))}</pre>"
            f"<h4>Use</h4><pre>{esc_lines(one.section('Use instead'))}</pre></details>"
        )
    body = "".join(_card(finding, prefix, used) for finding in found)
    return (
        f'<section class="check {first.severity}" data-severity="{first.severity}"><h3><span class=badge>{WORD[first.severity]}</span> '
        f"<span class=code>{esc(first.code)}</span> {esc(first.title)}</h3>{body}{means}</section>"
    )


def esc_lines(text: str) -> str:
    return "\n".join(map(esc, text.split("\n")))


def _card(finding: Finding, prefix: str, used: set[str]) -> str:
    mark = unique(prefix + anchor(f"{finding.code}-{finding.name}"), used)
    names = finding.names or (finding.name,)
    listed = ""
    if len(names) > 1:
        more = f"<li>… and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        items = "".join(f"<li>{breaking(name) or 'the whole model'}" for name in names[:_MOST_NAMES])
        listed = f"<details><summary>{counted(len(names), 'tensor')}</summary><ul class=names>{items}{more}</ul></details>"
    where = f"<p class=where>at <code>{esc(finding.source)}</code></p>" if finding.source else ""
    title = breaking(finding.name) if finding.name else "the whole model"
    return (
        f'<article class=finding id="{mark}" tabindex=-1 data-find="{esc(" ".join((finding.code, finding.title, *names[:_MOST_NAMES])))}">'
        f'<p class=name><a href="#{mark}">{title}</a></p><p>{esc(finding.message)}.</p>'
        f"<p class=fix><b>Fix</b> {esc(finding.fix)}</p>{where}{listed}</article>"
    )


def unique(mark: str, used: set[str]) -> str:
    """The mark, numbered if it is taken."""
    number, free = 1, mark
    while free in used:
        number += 1
        free = f"{mark}-{number}"
    used.add(free)
    return free


def rest(report: Report) -> str:
    """Checks that passed and those that could not run."""
    parts = []
    if report.not_run:
        by_reason: dict[str, list[str]] = {}
        for one in report.not_run:
            by_reason.setdefault(one.reason, []).append(one.what)
        rows = "".join(f"<dt>{esc(', '.join(what))}<dd>{esc(reason)}" for reason, what in by_reason.items())
        parts.append(
            f"<details><summary>{counted(len(report.not_run), 'check')} could not run</summary><dl>{rows}</dl></details>"
        )
    if report.passed:
        rows = "".join(f"<li><span class=code>{esc(c)}</span> {esc(name)}" for c, name in report.passed)
        parts.append(
            f"<details><summary>{counted(len(report.passed), 'check')} passed</summary><ul class=passed>{rows}</ul></details>"
        )
    return "".join(parts)
