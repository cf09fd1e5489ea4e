"""A report as SARIF 2.1.0, which code scanners and editors show at the guilty line (OASIS, *Static Analysis Results Interchange Format*)."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..registry import SECTIONS, Check, checks
from ..report import Finding, NotRun, Report
from .places import place_of
from .text import printable

_LEVEL = {"error": "error", "warning": "warning", "info": "note"}
_MOST = 100  # tensors that one result points at; the message says how many there are
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(report: Report, least: str = "info") -> str:
    """The log: one run, a result for each finding; findings below ``least`` are left out."""
    shown = report.at_least(least)
    used = sorted({finding.code for finding in shown})
    run = {
        "tool": {"driver": {"name": "initium", "version": _version(), "rules": [_rule(code, shown) for code in used]}},
        "originalUriBaseIds": {
            "SRCROOT": {"description": {"text": "The folder that initium was called in."}},
            "PYTHONPATH": {"description": {"text": "A folder that Python imports from."}},
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not report.failed,
                "toolExecutionNotifications": [_notification(one) for one in report.not_run],
            }
        ],
        "results": [_result(finding, used.index(finding.code), report) for finding in shown],
        "properties": {"model": report.label, "seed": report.seed, "passed": [code for code, _ in report.passed]},
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, allow_nan=False, indent=1)


def _rule(code: str, shown: tuple[Finding, ...]) -> dict[str, Any]:
    """What a scanner shows beside the result: the check's page."""
    one = checks().get(code)
    if one is None:  # a finding that was made by hand
        title = next(finding.title for finding in shown if finding.code == code) or code
        return {"id": code, "shortDescription": {"text": printable(title)}}
    return {
        "id": code,
        "name": "".join(word.capitalize() for word in one.name.replace("-", " ").split() if word.isalnum()),
        "shortDescription": {"text": one.name},
        "fullDescription": {"text": one.summary},
        "defaultConfiguration": {"level": _LEVEL[one.severity]},
        "help": {"text": _plain(one), "markdown": _markdown(one)},
        "properties": {"tags": ["initialization", one.level], "precision": "medium" if one.preview else "very-high"},
    }


def _plain(one: Check) -> str:
    return "\n\n".join([one.summary, *(f"{title}:\n{one.section(title)}" for title in SECTIONS if one.section(title))])


def _markdown(one: Check) -> str:
    parts = [one.summary.replace("``", "`")]
    for title in SECTIONS:
        said = one.section(title)
        if said:
            parts.append(
                f"**{title}**\n\n" + (f"```python\n{said}\n```" if title in SECTIONS[2:4] else said.replace("``", "`"))
            )
    return "\n\n".join(parts)


def _result(finding: Finding, rule: int, report: Report) -> dict[str, Any]:
    names = [name for name in (finding.names or (finding.name,)) if name]
    about = printable(finding.name) or "the whole model"
    many = f" ({len(names)} tensors)" if len(names) > _MOST else ""
    location: dict[str, Any] = {}
    physical = _physical(finding, report)
    if physical is not None:
        location["physicalLocation"] = physical
    location["logicalLocations"] = [
        {"name": name.rpartition(".")[2], "fullyQualifiedName": name, "kind": "member"} for name in names[:_MOST]
    ] or [{"name": report.label, "fullyQualifiedName": report.label, "kind": "type"}]
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVEL[finding.severity],
        "message": {"text": f"{about}{many}: {printable(finding.message)}. Fix: {printable(finding.fix)}."},
        "locations": [location],
        "partialFingerprints": {"initium/v1": finding.fingerprint} if finding.fingerprint else {},
    }


def _physical(finding: Finding, report: Report) -> dict[str, Any] | None:
    """The line that did it; for a finding of a checkpoint, the file."""
    place = place_of(finding.source)
    if place is not None:
        based = {"uriBaseId": place.base} if place.base else {}
        return {"artifactLocation": {"uri": place.uri, **based}, "region": {"startLine": place.line}}
    if report.label.endswith(".safetensors") and Path(report.label).is_file():
        file = place_of(f"{report.label}:1")
        assert file is not None
        return {"artifactLocation": {"uri": file.uri, **({"uriBaseId": file.base} if file.base else {})}}
    return None


def _notification(one: NotRun) -> dict[str, Any]:
    said = {"level": "error" if one.failed else "note", "message": {"text": f"{one.what} not run: {printable(one.reason)}"}}
    return {**said, "associatedRule": {"id": one.what}} if one.what[-1:].isdigit() else said


def _version() -> str:
    try:
        return version("initium")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
