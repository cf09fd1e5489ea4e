"""transformers: load a checkpoint, and let a plan give what it does not bring.

from initium.integrations.transformers import from_pretrained

model = from_pretrained(AutoModelForSequenceClassification, "bert-base-uncased", seed=0, num_labels=5)
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from torch import nn

from .._capture.run import capture
from .._checkpoint.pieces import checked_dtype
from .._files import atomic_file
from .._missing import Missing
from .._plan import Plan


def from_pretrained(cls: Any, *args: Any, plan: Plan | None = None, seed: int | None = None, **kwargs: Any) -> nn.Module:
    """``cls.from_pretrained(…)``, in which missing and mismatched keys get a plan's values; loaded tensors are never touched.

    Args:
        cls: a model class of transformers, or an ``AutoModelFor…``.
        args, kwargs: for its ``from_pretrained``.
        plan: what they get; None for the model's own initialisation, captured.
        seed: of the captured plan; None draws one from torch's generator.

    Returns:
        The model, as transformers returns it. ``ignore_mismatched_sizes=True`` lets keys of another shape count as missing.
    """
    wants_info = kwargs.pop("output_loading_info", False)
    model, info = cls.from_pretrained(*args, output_loading_info=True, **kwargs)
    mismatched = [entry if isinstance(entry, str) else entry[0] for entry in info.get("mismatched_keys", ())]
    missing = sorted({*info.get("missing_keys", ()), *mismatched})
    if missing:
        if plan is None:
            config = copy.deepcopy(model.config)
            _, plan = capture(lambda: type(model)(config), seed=seed)
        plan.apply(model, only=Missing(missing, sorted(info.get("unexpected_keys", ()))))
    return (model, info) if wants_info else model  # type: ignore[return-value]


def write_config(model: nn.Module, folder: Path, dtype: str | None) -> None:
    """The model's ``config.json`` into the folder of its weights, so that ``from_pretrained`` loads it; one that is there stays.

    Args:
        model: of transformers, real or on meta.
        folder: where its safetensors files are.
        dtype: of the weights, None for the model's own.
    """
    path = folder / "config.json"
    if path.exists():
        return
    config: Any = copy.deepcopy(model.config)
    config.architectures = [type(model).__name__]
    if dtype is not None:
        setattr(config, "dtype" if hasattr(config, "dtype") else "torch_dtype", checked_dtype(dtype))
    with atomic_file(path, overwrite=True) as file:
        file.write(config.to_json_string().encode())
