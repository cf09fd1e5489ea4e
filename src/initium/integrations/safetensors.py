"""safetensors: load a file or a folder into a model, and let a plan give what it does not bring."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from .._measure.sources import tensors_of
from .._missing import Missing
from .._plan import Plan


def load(model: nn.Module, path: str | Path, plan: Plan) -> Missing:
    """Load what a safetensors file or folder has, and fill the rest by ``plan``; loaded tensors are never touched.

    Args:
        model: with memory. Tensors are converted to its dtypes.
        path: a file, or a folder with one or with shards and their index.
        plan: of this model: made by ``initium.plan`` or ``initium.capture``.

    Returns:
        What the files did not bring (other shapes count as missing), and what they had besides.

    Raises:
        FileError: a file that cannot be read. PlanError: model and plan do not fit.
    """
    found = tensors_of(path)
    wanted = model.state_dict()
    fitting = {one.key for one in found if one.key in wanted and wanted[one.key].shape == torch.Size(one.shape)}
    with torch.no_grad():
        for key in fitting:
            wanted[key].copy_(found.read(key))
    missing = Missing([key for key in wanted if key not in fitting], [one.key for one in found if one.key not in wanted])
    plan.apply(model, only=missing)
    return missing
