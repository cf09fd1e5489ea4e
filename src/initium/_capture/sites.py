"""Who wrote: the line of the model's code behind a write, and the call of ``torch.nn.init`` on the way to it."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch

from .._tuples import from_fields

_TORCH = str(Path(torch.__file__).parent) + os.sep
_OURS = str(Path(__file__).parent.parent) + os.sep
_STDLIB = sysconfig.get_path("stdlib") + os.sep
_DECORATORS = (os.sep + "typing_extensions.py",)  # their wrappers stand between a caller and what he calls
_TORCH_INIT = _TORCH + os.path.join("nn", "init.py")
_TORCH_MODULES = _TORCH + os.path.join("nn", "modules") + os.sep
# wrappers around torch.nn.init that hold no decision of their own: their caller is the author
_THIN = (os.path.join("transformers", "initialization.py"), os.path.join("timm", "layers", "weight_init.py"))

_USER, _LIBRARY, _MODULE, _INIT, _WRAPPER, _BOUNDARY = range(6)
# By the code's id, which `_KEPT` keeps its own: to hash code is to read all of it
_KIND: dict[int, int] = {}
_SITES: dict[tuple[int, int], Site] = {}  # and by the instruction: to find its line is to read a table
_KEPT: list[CodeType] = []
_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>"})
BOUNDARIES = frozenset({"run_constructor", "__enter__"})  # our functions above which nothing belongs to the model


class Site(NamedTuple):
    """A line of code; rendered only when somebody asks."""

    code: CodeType
    line: int

    def __hash__(self) -> int:
        return hash((id(self.code), self.line))

    def __str__(self) -> str:
        return f"{shown_path(self.code.co_filename)}:{self.line} {self.code.co_name}"


class Call(NamedTuple):
    """A call of an init function: its name, its frame (alive while it runs), and whether it is torch's own."""

    name: str
    frame: FrameType
    is_torch: bool

    @property
    def said(self) -> dict[str, Any]:
        """Its arguments and the numbers that it has worked out so far."""
        return self.frame.f_locals


_as_call = from_fields(Call)


def look() -> tuple[Site, Call | None]:
    """The first line outside torch and thin wrappers, and the init function (torch's innermost, else the outermost wrapper) that it called."""
    frame: FrameType | None = sys._getframe(2)
    layer: FrameType | None = None
    call: Call | None = None
    while frame is not None:
        code = frame.f_code
        kind = _KIND.get(id(code))
        if kind is None:
            kind = _KIND[id(code)] = _kind_of(code)
            _KEPT.append(code)
        if kind == _USER:
            return _site(frame), call
        if kind == _BOUNDARY:
            break
        if kind == _INIT:
            if call is None:
                call = _as_call((code.co_name, frame, True))
        elif kind == _WRAPPER:
            # a wrapper of torch's function adds nothing; one with a law of its own is the call to show
            if call is None or not call.is_torch:
                call = _as_call((code.co_name, frame, False))
        elif kind == _MODULE and layer is None:
            layer = frame
        frame = frame.f_back
    return _site(layer or sys._getframe(2)), call


def _site(frame: FrameType) -> Site:
    """Where a frame stands, one object for each place."""
    key = id(frame.f_code), frame.f_lasti
    found = _SITES.get(key)
    if found is None:
        found = Site(_around(frame), frame.f_lineno)
        if found.code is frame.f_code:  # what a comprehension stands in is told by who called it
            _SITES[key] = found
    return found


def _around(frame: FrameType) -> CodeType:
    """The function that a comprehension stands in: it is a frame of its own before Python 3.12, and a plan is to say the same there."""
    while frame.f_code.co_name in _COMPREHENSIONS and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code


def _kind_of(code: CodeType) -> int:
    path, name = code.co_filename, code.co_name
    if path == _TORCH_INIT:
        return _LIBRARY if name.startswith("_") else _INIT
    if path.startswith(_TORCH_MODULES):
        return _MODULE
    if path.startswith(_TORCH):
        return _LIBRARY
    if path.startswith(_OURS):
        return _BOUNDARY if name in BOUNDARIES else _LIBRARY
    if path.startswith("<frozen") or path.endswith(_DECORATORS) or (path.startswith(_STDLIB) and "site-packages" not in path):
        return _LIBRARY
    if path.endswith(_THIN) and name.endswith("_"):
        return _LIBRARY if name.startswith("_") else _WRAPPER
    return _USER


def shown_path(path: str) -> str:
    """A path without the folder that Python imported it from."""
    roots = sorted((root for root in sys.path if root and path.startswith(root.rstrip(os.sep) + os.sep)), key=len)
    if roots:
        return path[len(roots[-1].rstrip(os.sep)) + 1 :]
    here = os.getcwd() + os.sep
    return path.removeprefix(here)
