"""Which backend fills which tensor: the forced one, else the fastest that serves it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .._errors import BackendError, nearest
from .._laws import Law
from .._stream import derive_key
from ._protocol import Alike, Backend, Job, as_job
from .native import TARGETS, Native, native
from .reference import Reference
from .triton import Triton, triton

_REFERENCE = Reference()
_NAMES = ("reference", *TARGETS, "triton")
_VARIABLE = "INITIUM_BACKEND"
_STORED_AS = os.environ.encodekey(_VARIABLE)


def backend_for(tensor: Tensor) -> Backend:
    """The backend that fills this tensor."""
    return next((backend for backend in _fast() if backend.serves(tensor)), _REFERENCE)


def fill(jobs: Sequence[Job]) -> None:
    """Run the jobs, each on its tensor's backend, and tell autograd that the tensors have changed."""
    for backend in _fast():
        others = backend.fill_served(jobs)
        if len(others) < len(jobs):
            # a write through a pointer is unseen by autograd otherwise
            written = jobs if not others else [job for job in jobs if backend.serves(job[0])]
            torch.autograd.graph.increment_version([job[0] for job in written])
        jobs = others
        if not jobs:
            return
    _REFERENCE.fill(jobs)


def fill_named(groups: Sequence[Alike], seed: int) -> None:
    """Fill whole tensors from the streams of their names. It does what ``fill`` does, at a third of the price where they are small."""
    cpu = _cpu()
    served, others = ([], groups) if cpu is None else cpu.fill_named(groups, seed)
    if served:
        torch.autograd.graph.increment_version([out for group in served for out in group.outs])
    fill(
        [
            as_job((out, group.law, derive_key(seed, name), 0, 0))
            for group in others
            for out, name in zip(group.outs, group.names, strict=True)
        ]
    )


def fill_alone(out: Tensor, law: Law, seed: int, tag: str) -> None:
    """Fill an ordinary tensor that has no name. It does what ``fill`` does, at a fraction of the price where it is small."""
    cpu = _cpu()
    if cpu is not None and cpu.fill_alone(out, law, seed, tag):
        torch.autograd.graph.increment_version(out)
    else:
        fill([as_job((out, law, derive_key(seed, "", tag), 0, 0))])


def _fast() -> Iterator[Native | Triton]:
    """The backends to ask before the reference, which serves everything."""
    cpu, gpu = _cpu(), _gpu()
    if cpu is not None:
        yield cpu
    if gpu is not None:
        yield gpu


def _cpu() -> Native | None:
    forced = _forced()
    return native(forced or None) if not forced or forced in TARGETS else None


def _gpu() -> Triton | None:
    forced = _forced()
    return triton(bool(forced)) if not forced or forced == "triton" else None


def _forced() -> str:
    """The backend that the environment asks for, or ""."""
    # os.environ.get raises and catches an error where a variable is not set, which took a fifth of a small fill
    stored = getattr(os.environ, "_data", os.environ)
    if _STORED_AS not in stored and _VARIABLE not in stored:
        return ""
    forced = os.environ[_VARIABLE].strip().lower()
    if forced and forced not in _NAMES:
        raise BackendError(f"{_VARIABLE}={forced!r} is no backend.{nearest(forced, _NAMES)} Known: {', '.join(_NAMES)}")
    return forced
