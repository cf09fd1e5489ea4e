"""Lightning: audit a model before its first step.

from initium.integrations.lightning import AuditCallback

Trainer(callbacks=[AuditCallback()]).fit(model, data)
"""

from __future__ import annotations

import importlib.util
from typing import Any

if importlib.util.find_spec("lightning") is not None:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    from pytorch_lightning import Callback, LightningModule, Trainer

from .._audit.report import Report
from ._before_training import audited, checked_action


class AuditCallback(Callback):
    """Audit the model when fitting begins, before the sanity check and the first step. A run that goes on from a checkpoint is left alone.

    Args:
        action: ``raise`` a ModelError where the audit finds an error or a warning, or ``warn``.
        options: of ``initium.audit``: ``inputs``, ``level``, ``select``, ``ignore``, ``expect``. Without inputs, the module's
            ``example_input_array`` is taken.

    Attributes:
        report: what was found; None before fitting.
    """

    def __init__(self, action: str = "raise", **options: Any) -> None:
        super().__init__()
        self.action = checked_action(action)
        self.options = options
        self.report: Report | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.ckpt_path is None:
            self.report = audited(pl_module, self.action, self.options, quiet=not trainer.is_global_zero)
