"""Which module lays its tensors out how: handlers by class (subclasses included) or by class name, users' own by decorator.

A handler takes a module and returns ``{tensor name: Layout}`` for the tensors it knows; a dotted name speaks of a
descendant's tensor (``"qkv.weight"``), and an ancestor's word about it wins over the descendant's own class. A class that no
handler describes is read by the signs in ``_layouts/telling.py``.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable, Mapping
from typing import TypeVar

from torch import nn

from .._errors import ArgumentError, ArgumentTypeError
from .._fans import Layout
from .._plugins import load

Layouts = Mapping[str, Layout]
Handler = Callable[[nn.Module], Layouts]
H = TypeVar("H", bound=Handler)

NOTHING: Layouts = {}
_BY_CLASS: dict[type, Handler] = {}
_BY_NAME: dict[str, Handler] = {}  # bare and full class names, and globs over them
_GLOBS: list[str] = []
_SIGNS: list[tuple[Callable[[type], bool], Handler]] = []  # (does it concern this class, what to look for)
_FOUND: dict[type, tuple[Handler, ...]] = {}


def module(*classes: type | str) -> Callable[[H], H]:
    """Register a handler for module classes, or for class names (a glob over ``package.module.Class`` or the bare class name).

    The handler is a function of the module that returns ``{tensor name: Layout}``. Packages register theirs through the entry
    point ``initium.modules``. A class may be registered once; a handler of initium's own gives way to yours.

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
                _refuse_second(_BY_NAME.get(target), f"the class name {target!r}")
                _BY_NAME[target] = handler
                if any(special in target for special in "*?["):
                    _GLOBS.append(target)
            elif isinstance(target, type) and issubclass(target, nn.Module):
                _refuse_second(_BY_CLASS.get(target), target.__name__)
                _BY_CLASS[target] = handler
            else:
                raise ArgumentTypeError(f"initium.module expects nn.Module classes or class-name globs, got {target!r}")
        _FOUND.clear()
        return handler

    if not classes:
        raise ArgumentTypeError("initium.module expects the classes it is for: write @initium.module(MyLayer)")
    if not isinstance(classes[0], (type, str)):
        raise ArgumentTypeError(f"initium.module expects nn.Module classes or class-name globs, got {classes[0]!r}")
    return register


def layouts_of(m: nn.Module) -> Layouts:
    """What the handlers say of a module's tensors; the most derived class's word counts."""
    handlers = _FOUND.get(type(m))
    if handlers is None:
        load("initium.modules")
        handlers = _FOUND[type(m)] = _handlers(type(m))
    if len(handlers) == 1:
        return handlers[0](m)
    if not handlers:
        return NOTHING
    result: dict[str, Layout] = {}
    for handler in reversed(handlers):
        result.update(handler(m))
    return result


def sign(concerns: Callable[[type], bool]) -> Callable[[H], H]:
    """Register what to look for in a class that no handler describes; of several that concern it, the first wins."""

    def register(handler: H) -> H:
        _SIGNS.append((concerns, handler))
        return handler

    return register


def _refuse_second(known: Handler | None, what: str) -> None:
    if known is not None and not _ours(known):
        raise ArgumentError(f"{what} has a layout handler already: {known.__module__}.{known.__qualname__}")


def _ours(handler: Handler) -> bool:
    return handler.__module__.startswith(f"{__package__}.")


def _handlers(cls: type) -> tuple[Handler, ...]:
    """The handlers of a class, most derived first; at one level of the MRO a user's before ours, then a class before a name."""
    found: list[Handler] = []
    for base in cls.__mro__:
        if base is nn.Module:
            break
        here = [_BY_CLASS[base]] if base in _BY_CLASS else []
        here += _named(base)
        found += [handler for handler in sorted(here, key=_ours) if handler not in found]
    if not any(_ours(handler) for handler in found):  # nobody but the user, if anybody
        found += [handler for concerns, handler in _SIGNS if concerns(cls)][:1]
    return tuple(handler if _ours(handler) else _checked(handler) for handler in found)


def _named(cls: type) -> list[Handler]:
    """The handlers registered for a class's name, or its full name where the pattern has a dot; the newest first."""
    full = f"{cls.__module__}.{cls.__qualname__}"
    found = [_BY_NAME[name] for name in (full, cls.__name__) if name in _BY_NAME]
    found += [_BY_NAME[glob] for glob in reversed(_GLOBS) if fnmatch.fnmatchcase(full if "." in glob else cls.__name__, glob)]
    return [_if_it_is(handler) if _ours(handler) else handler for handler in found]


@functools.lru_cache(maxsize=1024)
def _if_it_is(handler: Handler) -> Handler:
    """A handler of ours that goes by a name: somebody's class of the same name may have nothing of what it reads."""

    @functools.wraps(handler)
    def by_name(m: nn.Module) -> Layouts:
        try:
            return handler(m)
        except (AttributeError, TypeError):
            return NOTHING

    return by_name


def _checked(handler: Handler) -> Handler:
    """A user's handler, with a sentence for what it must not return."""

    @functools.wraps(handler)
    def checked(m: nn.Module) -> Layouts:
        said = handler(m)
        who = f"the layout handler {handler.__module__}.{handler.__qualname__} for {type(m).__name__}"
        if not isinstance(said, Mapping):
            raise ArgumentTypeError(f"{who} returned {type(said).__name__}: it returns {{tensor name: Layout}}")
        for name, layout in said.items():
            if not isinstance(name, str) or not isinstance(layout, Layout):
                raise ArgumentTypeError(f"{who} said {layout!r} of {name!r}: it returns {{tensor name: Layout}}")
        return said

    return checked


# These register what they know; they need the decorators above.
from . import of_code_bases, of_timm, of_torch, of_transformers, telling  # noqa: E402, F401
