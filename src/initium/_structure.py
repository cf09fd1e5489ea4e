"""Structure: what a model says of its own shape. For now its depth; never guessed where the model does not say."""

from __future__ import annotations

from torch import nn

_DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth")


def depth_of(model: nn.Module) -> tuple[int, str] | None:
    """(number of blocks, where that was read): the config's word, else the longest list of modules of one class; or None."""
    config = getattr(model, "config", None)
    for name in _DEPTHS:
        value = getattr(config, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value, f"config.{name}"
    best: tuple[int, str] | None = None
    for name, module in model.named_modules():
        children = list(module._modules.values()) if isinstance(module, (nn.ModuleList, nn.Sequential)) else []
        if len(children) > 1 and len({type(child) for child in children}) == 1 and (best is None or len(children) > best[0]):
            best = len(children), name
    return best
