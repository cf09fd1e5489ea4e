"""Weights that are computed: ``torch.nn.utils.parametrize``, and the older weight_norm and spectral_norm hooks.

A computed weight has one logical tensor, which the forward pass uses, and originals, which are the Parameters. Writing the logical
tensor means setting the originals so that it comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ._errors import WriteError


@dataclass(frozen=True)
class Computed:
    """One computed weight of a module.

    Args:
        local: its name on the module.
        originals: the names, relative to the module, of the tensors it is computed from.
        read: gives the tensor that the forward pass uses, without changing any state.
        write: sets the originals from a value of the logical tensor.
    """

    local: str
    originals: tuple[str, ...]
    read: Callable[[], Tensor]
    write: Callable[[Tensor], None]


def computed_weights(module: nn.Module) -> Iterator[Computed]:
    """The computed weights of a module."""
    if "parametrizations" in module._modules and parametrize.is_parametrized(module):
        for local, chain in module.parametrizations.items():  # type: ignore[union-attr, operator]
            names = [name for name, _ in chain.named_parameters(recurse=False)]
            names += [name for name, _ in chain.named_buffers(recurse=False) if name.startswith("original")]
            originals = tuple(f"parametrizations.{local}.{name}" for name in names)
            yield Computed(local, originals, _reader(chain), _writer(module, local, chain))
    hooks: list[Any] = list(module._forward_pre_hooks.values())
    for hook in hooks:
        kind = f"{type(hook).__module__}.{type(hook).__name__}"
        if kind == "torch.nn.utils.weight_norm.WeightNorm":
            local, dim = hook.name, hook.dim
            yield Computed(
                local, (f"{local}_g", f"{local}_v"), _hook_reader(hook, module), _weight_norm_writer(module, local, dim, hook)
            )
        elif kind == "torch.nn.utils.spectral_norm.SpectralNorm":
            local = hook.name
            yield Computed(local, (f"{local}_orig",), _spectral_reader(module, hook), _spectral_writer(module, local))


def _reader(chain: nn.Module) -> Callable[[], Tensor]:
    def read() -> Tensor:
        training = [m for m in chain.modules() if m.training]
        try:
            chain.eval()  # spectral_norm's power iteration changes its vectors in training mode
            with torch.no_grad():
                value = chain()
                assert isinstance(value, Tensor)
                return value
        finally:
            for m in training:
                m.training = True

    return read


def _writer(module: nn.Module, local: str, chain: nn.Module) -> Callable[[Tensor], None]:
    def write(value: Tensor) -> None:
        for step in chain.children():
            if not hasattr(step, "right_inverse"):
                raise WriteError(
                    f"{local} is parametrised by {type(step).__name__}, which has no right_inverse, so it cannot be set: "
                    f"initialise before registering it, or write the right_inverse"
                )
        with torch.no_grad():
            setattr(module, local, value)

    return write


def _hook_reader(hook: object, module: nn.Module) -> Callable[[], Tensor]:
    def read() -> Tensor:
        with torch.no_grad():
            value = hook.compute_weight(module)  # type: ignore[attr-defined]
            assert isinstance(value, Tensor)
            return value

    return read


def _weight_norm_writer(module: nn.Module, local: str, dim: int, hook: object) -> Callable[[Tensor], None]:
    def write(value: Tensor) -> None:
        with torch.no_grad():
            getattr(module, f"{local}_v").copy_(value)
            getattr(module, f"{local}_g").copy_(torch.norm_except_dim(value, 2, dim))
            setattr(module, local, hook.compute_weight(module))  # type: ignore[attr-defined]

    return write


def _spectral_reader(module: nn.Module, hook: object) -> Callable[[], Tensor]:
    def read() -> Tensor:
        with torch.no_grad():
            value = hook.compute_weight(module, do_power_iteration=False)  # type: ignore[attr-defined]
            assert isinstance(value, Tensor)
            return value

    return read


def _spectral_writer(module: nn.Module, local: str) -> Callable[[Tensor], None]:
    def write(value: Tensor) -> None:
        with torch.no_grad():
            getattr(module, f"{local}_orig").copy_(value)

    return write
