"""The torch-ops backend: slow, readable, on every device torch has. It is the oracle of the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .. import _laws as laws
from .. import _stream as stream
from .._stream import Key
from ._protocol import Job

_CHUNK = 1 << 18  # elements drawn at a time, so that the integer temporaries stay in the cache


class Reference:
    """Every law by the functions of ``_stream.py``."""

    name = "reference"

    def serves(self, tensor: Tensor) -> bool:
        return True

    def fill(self, jobs: Sequence[Job]) -> None:
        with torch.no_grad(), _denormals_kept():
            for job in jobs:
                rows = job.out if job.stride else job.out.unsqueeze(0) if job.out.dim() == 1 else job.out.view(1, -1)
                for index, row in enumerate(rows):
                    _fill_run(row, job.law, job.key, job.start + index * job.stride)


def _fill_run(out: Tensor, law: laws.Law, key: Key, start: int) -> None:
    if isinstance(law, laws.Constant):
        out.fill_(law.value)
        return
    for offset in range(0, out.numel(), _CHUNK):
        part = out[offset : offset + _CHUNK]
        value = values(law, key, start + offset, part.numel(), out.device)
        if out.dtype == torch.float64:  # the fp32 value widened, and kept inside the bounds as they are in fp64
            value = value.double().clamp_(*_bounds(law))
        part.copy_(value)


def values(law: laws.Law, key: Key, start: int, count: int, device: torch.device | str = "cpu") -> Tensor:
    """The fp32 values of addresses ``start … start + count``."""
    if isinstance(law, laws.Constant):
        return torch.full((count,), law.value, dtype=torch.float32, device=device)
    word = stream.words(key, start, count, device)
    if isinstance(law, laws.Uniform):
        base = stream.uniform_from(word)
    elif isinstance(law, laws.Normal):
        base = stream.normal_from(word)
    elif law.table is None:
        base = stream.truncated_from(word, law.lo, law.hi)
    else:
        base = stream.tabulated_from(word, torch.tensor(law.table, dtype=torch.float32, device=device))
    value = base * law.scale + law.shift
    return value if isinstance(law, laws.Normal) else value.clamp_(*law.limits)


def _bounds(law: laws.Law) -> tuple[float, float]:
    if isinstance(law, laws.Normal):
        return law.limits
    assert not isinstance(law, laws.Constant)
    return law.low, law.high


@contextlib.contextmanager
def _denormals_kept() -> Iterator[None]:
    """Denormals are kept while we draw on the CPU, whatever ``torch.set_flush_denormal`` was set to."""
    flushed = float(torch.tensor(1e-310, dtype=torch.float64, device="cpu") * 1.0) == 0.0
    if not flushed:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # torch's worker threads keep their own setting, which nobody can read
    torch.set_flush_denormal(False)
    try:
        yield
    finally:
        torch.set_flush_denormal(True)
        torch.set_num_threads(threads)
