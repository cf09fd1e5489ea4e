"""Which module lays its tensors out how: handlers by class (subclasses included) or by class name, user's own ones by decorator.

A handler takes a module and returns ``{tensor name: Layout}`` for the tensors it knows; a dotted name speaks of a descendant's
tensor (``"qkv.weight"``), and an ancestor's word about it wins over the descendant's own class.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from typing import TypeVar

from torch import nn

from ._errors import ArgumentError, ArgumentTypeError
from ._fans import Layout
from ._plugins import load

Handler = Callable[[nn.Module], Mapping[str, Layout]]
H = TypeVar("H", bound=Handler)

_BY_CLASS: dict[type, Handler] = {}
_BY_NAME: dict[str, Handler] = {}
_FOUND: dict[type, tuple[Handler, ...]] = {}
_NOTHING: Mapping[str, Layout] = {}


def module(*classes: type | str) -> Callable[[H], H]:
    """Register a handler for module classes, or for class names (a glob over ``package.module.Class`` or the bare class name).

    The handler is a function of the module that returns ``{tensor name: Layout}``. Packages register theirs through the entry point
    ``initium.modules``. A class may be registered once.

    Args:
        classes: subclasses of ``nn.Module``, or globs such as ``"*RMSNorm"`` and ``"timm.*.Attention"``.

    Raises:
        ArgumentError: the class is registered already.

    Example:
        >>> import torch, initium
        >>> class Mixer(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.mix = torch.nn.Parameter(torch.empty(8, 4))  # x @ mix: (in, out)
        >>> @initium.module(Mixer)
        ... def mixer(m):
        ...     return {"mix": initium.Layout(role="weight", in_axes=(0,), out_axes=(1,))}
        >>> initium.plan(Mixer(), "he", seed=0)["mix"].fan_in
        8
    """

    def register(handler: H) -> H:
        for target in classes:
            if isinstance(target, str):
                if target in _BY_NAME:
                    raise ArgumentError(f"the class name {target!r} has a layout handler already: {_BY_NAME[target].__qualname__}")
                _BY_NAME[target] = handler
            elif isinstance(target, type) and issubclass(target, nn.Module):
                if target in _BY_CLASS:
                    raise ArgumentError(f"{target.__name__} has a layout handler already: {_BY_CLASS[target].__qualname__}")
                _BY_CLASS[target] = handler
            else:
                raise ArgumentTypeError(f"initium.module expects nn.Module classes or class-name globs, got {target!r}")
        _FOUND.clear()
        return handler

    return register


def layouts_of(m: nn.Module) -> Mapping[str, Layout]:
    """What the handlers say of a module's tensors; the most derived class's word counts."""
    handlers = _FOUND.get(type(m))
    if handlers is None:
        handlers = _FOUND[type(m)] = _handlers(type(m))
    if len(handlers) == 1:
        return handlers[0](m)
    result: dict[str, Layout] = {}
    for handler in reversed(handlers):
        result.update(handler(m))
    return result or _NOTHING


def _handlers(cls: type) -> tuple[Handler, ...]:
    """The handlers of a class, most derived first; at one level of the MRO, a class before a name."""
    load("initium.modules")
    found: list[Handler] = []
    for base in cls.__mro__:
        if base is nn.Module:
            break
        if base in _BY_CLASS:
            found.append(_BY_CLASS[base])
        full = f"{base.__module__}.{base.__qualname__}"
        for pattern, handler in _BY_NAME.items():
            subject = full if "." in pattern else base.__name__
            if fnmatch.fnmatchcase(subject, pattern) and handler not in found:
                found.append(handler)
    return tuple(found)


from . import _torch_layouts  # noqa: E402, F401  (registers torch.nn's; it needs the decorator above)
