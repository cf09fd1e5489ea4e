"""Import torchvision (and what imports it) where its compiled operators are missing."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch


@contextlib.contextmanager
def _without_compiled_operators() -> Iterator[None]:
    """Registering a fake for an operator of torchvision's that does not exist is an error: leave it out."""
    real = torch.library.register_fake

    @functools.wraps(real)
    def register_fake(op: Any, func: Any = None, /, **kwargs: Any) -> Any:
        if isinstance(op, str) and op.startswith("torchvision::"):
            return (lambda f: f) if func is None else func
        return real(op, func, **kwargs) if func is not None else real(op, **kwargs)

    torch.library.register_fake = register_fake
    try:
        yield
    finally:
        torch.library.register_fake = real


def library(name: str) -> Any:
    """The module of that name; the test is skipped where its library is not installed."""
    package = name.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    with _without_compiled_operators():
        if package in ("timm", "transformers") and importlib.util.find_spec("torchvision") is not None:
            importlib.import_module("torchvision")
        return importlib.import_module(name)


def on_meta(make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What ``make`` builds, without memory."""
    with torch.device("meta"):
        return make(*args, **kwargs)
