"""transformers' Trainer: audit a model before its first step.

from initium.integrations.trainer import AuditCallback

Trainer(model, arguments, train_dataset=data, callbacks=[AuditCallback()]).train()
"""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import TrainerCallback

from .._audit.report import Report
from ._before_training import audited, checked_action


class AuditCallback(TrainerCallback):
    """Audit the model when training begins. A run that goes on from a checkpoint is left alone.

    Args:
        action: ``raise`` a ModelError where the audit finds an error or a warning, or ``warn``.
        options: of ``initium.audit``: ``inputs``, ``level``, ``select``, ``ignore``, ``expect``.

    Attributes:
        report: what was found; None before training.
    """

    def __init__(self, action: str = "raise", **options: Any) -> None:
        self.action = checked_action(action)
        self.options = options
        self.report: Report | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: nn.Module | None = None, **kwargs: Any) -> None:
        if model is not None and state.global_step == 0:
            self.report = audited(model, self.action, self.options, quiet=not state.is_world_process_zero)
