"""A report as one JSON document, ``{"version": 1, "findings": […], "passed": […], "not_run": […]}``."""

from __future__ import annotations

import json as stdlib

from ..report import Report


def json(report: Report, least: str = "info") -> str:
    """The document; findings below ``least`` are left out."""
    document = report.to_dict()
    kept = {id(finding) for finding in report.at_least(least)}
    document["findings"] = [finding.to_dict() for finding in report.findings if id(finding) in kept]
    return stdlib.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)
