from __future__ import annotations
from torch import nn
from .initializers import Initializer
def torch_default(m: nn.Module, name: str) -> Initializer | None:
    return None
