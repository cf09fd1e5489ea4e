"""Which backend fills which tensor: the forced one, else the fastest that serves it."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from .._errors import BackendError, nearest
from ._protocol import Backend, Job
from .native import TARGETS, Native, native
from .reference import Reference

_REFERENCE = Reference()
_NAMES = ("reference", *TARGETS, "triton")


def backend_for(tensor: Tensor) -> Backend:
    """The backend that fills this tensor."""
    fast = _fast()
    return fast if fast is not None and fast.serves(tensor) else _REFERENCE


def fill(jobs: Sequence[Job]) -> None:
    """Run the jobs, each on its tensor's backend, and tell autograd that the tensors have changed."""
    fast = _fast()
    if fast is None:
        _REFERENCE.fill(jobs)
        return
    others = fast.fill_served(jobs)
    if others:
        _REFERENCE.fill(others)
    if len(others) < len(jobs):
        # a write through a pointer is unseen by autograd otherwise
        written = jobs if not others else [job for job in jobs if fast.serves(job[0])]
        torch.autograd.graph.increment_version([job[0] for job in written])


def _fast() -> Native | None:
    """The backend to ask before the reference, which serves everything."""
    forced = os.environ.get("INITIUM_BACKEND", "").strip().lower()
    if not forced:
        return native()
    if forced == "reference":
        return None
    if forced in TARGETS:
        return native(forced)
    if forced in _NAMES:
        raise BackendError(f"INITIUM_BACKEND={forced!r} is not part of this version of initium")
    raise BackendError(f"INITIUM_BACKEND={forced!r} is no backend.{nearest(forced, _NAMES)} Known: {', '.join(_NAMES)}")
