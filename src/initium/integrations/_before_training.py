"""What the callbacks share: audit, then raise or warn."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from .._audit.report import Report
from .._audit.run import audit
from .._errors import ArgumentError, ModelError

ACTIONS = ("raise", "warn")


def checked_action(action: str) -> str:
    """The action itself.

    Raises:
        ArgumentError: it is none.
    """
    if action not in ACTIONS:
        raise ArgumentError(f"action is 'raise' or 'warn', not {action!r}")
    return action


def audited(model: nn.Module, action: str, options: dict[str, Any], *, quiet: bool = False) -> Report:
    """The report on a model that is about to be trained.

    Args:
        model: left as it is.
        action: what an error or a warning of the audit leads to.
        options: for ``initium.audit``.
        quiet: another process warns.

    Raises:
        ModelError: something is wrong and the action is ``raise``; the message is the report.
    """
    report = audit(model, **options)
    if report.ok:
        return report
    said = f"the model is not ready to be trained\n\n{report}"
    if action == "raise":
        raise ModelError(said)
    if not quiet:
        warnings.warn(said, UserWarning, stacklevel=2)
    return report
