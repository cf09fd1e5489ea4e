"""How a report is shown: one file a format, each with a function of its own name that takes a report and the least severity to show."""

from __future__ import annotations

import importlib

from ..._errors import ArgumentError
from ..report import Report


def rendered(report: Report, format_: str, least: str = "info") -> str:
    """The report in a format: ``text``, ``json``, ``sarif`` or ``html``.

    Raises:
        ArgumentError: there is no such format.
    """
    try:
        module = importlib.import_module(f"{__name__}.{format_}")
    except ModuleNotFoundError:
        raise ArgumentError(f"no report is made as {format_!r}: text, json, sarif or html") from None
    shown: str = getattr(module, format_)(report, least)
    return shown
