"""Which backend fills which tensor: the forced one, else the fastest that serves it."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from .._errors import BackendError, nearest
from ._protocol import Backend, Job
from .reference import Reference

_REFERENCE = Reference()
_NAMES = ("reference", "scalar", "avx2", "avx512", "neon", "triton")


def backend_for(tensor: Tensor) -> Backend:
    """The backend that fills this tensor."""
    forced = os.environ.get("INITIUM_BACKEND", "").strip().lower()
    if forced and forced not in _NAMES:
        raise BackendError(f"INITIUM_BACKEND={forced!r} is no backend.{nearest(forced, _NAMES)} Known: {', '.join(_NAMES)}")
    return _REFERENCE


def fill(jobs: Sequence[Job]) -> None:
    """Run the jobs, each on its tensor's backend, and tell autograd that the tensors have changed."""
    by_backend: dict[str, tuple[Backend, list[Job]]] = {}
    for job in jobs:
        backend = backend_for(job.out)
        by_backend.setdefault(backend.name, (backend, []))[1].append(job)
    for backend, group in by_backend.values():
        backend.fill(group)
        if backend.name != _REFERENCE.name:  # a write through a pointer is unseen by autograd otherwise
            torch.autograd.graph.increment_version([job.out for job in group])
