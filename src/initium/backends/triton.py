"""The Triton backend: GPU tensors, drawn in place on their device, with the CPU's bits. NVIDIA and AMD share the kernels.

It is used where Triton is installed and a tensor lies on a device that Triton drives; elsewhere (MPS, XPU, no Triton) torch operations
draw the same bits. In Triton's interpreter (``TRITON_INTERPRET=1``, for tests) it serves CPU tensors instead.
"""

from __future__ import annotations

import contextlib
import functools
import os
import struct
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .. import _laws as laws
from .._errors import BackendError
from .._stream import Key, normal_table, outside
from ._protocol import Job

_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


class Triton:
    """Every law on plain GPU tensors; many tensors in a launch for each law and dtype."""

    name = "triton"

    def __init__(self, kernels: Any, interpreted: bool) -> None:
        self._kernels = kernels
        self._device = "cpu" if interpreted else "cuda"  # torch calls AMD's devices cuda too

    def serves(self, tensor: Tensor) -> bool:
        return (
            type(tensor) in (Tensor, torch.nn.Parameter)
            and tensor.device.type == self._device
            and tensor.dtype in _DTYPES
            and not tensor.is_neg()
            and _address(tensor) != 0
        )

    def fill_served(self, jobs: Sequence[Job]) -> list[Job]:
        """Runs the jobs on tensors that it serves; the others come back."""
        served: list[Job] = []
        others: list[Job] = []
        for job in jobs:
            (served if self.serves(job.out) else others).append(job)
        self.fill(served)
        return others

    def fill(self, jobs: Sequence[Job]) -> None:
        groups: dict[tuple[torch.device, int, torch.dtype, bool], list[list[int]]] = {}
        for job in jobs:
            if isinstance(job.law, laws.Constant):
                with torch.no_grad():
                    job.out.fill_(job.law.value)
            elif job.out.numel():
                row = _row(job)
                groups.setdefault((job.out.device, _law_code(job.law), job.out.dtype, _is_plain(row)), []).append(row)
        for (device, law, dtype, plain), rows in groups.items():
            self._run(rows, law, dtype, plain, device)

    def words(self, key: Key, start: int, count: int) -> Tensor:
        """The stream's words, as ``_stream.words`` gives them: int64 values in [0, 2**32)."""
        out = torch.empty(count, dtype=torch.int32, device=self._device)
        geometry = _geometry(out, key, start, 0)
        row = geometry + [0] * (len(self._kernels.Row) - len(geometry))
        self._run([row], self._kernels.WORDS, torch.int32, _is_plain(row), out.device)
        return out.long() & 0xFFFFFFFF

    def _run(self, rows: list[list[int]], law: int, dtype: torch.dtype, plain: bool, device: torch.device) -> None:
        kernels, total = self._kernels, 0
        options: dict[str, Any] = {"LAW": law, "DTYPE": _element(kernels.tl, dtype), "PLAIN": plain, "BLOCKS": kernels.BLOCKS}
        context: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        if device.type == "cuda":  # the interpreter knows neither devices nor options of the compiler
            context, options["enable_fp_fusion"] = torch.cuda.device(device), False
        with context:
            if len(rows) == 1 or (device.type == "cuda" and torch.cuda.is_current_stream_capturing()):
                for row in rows:  # arguments, not a table: there is nothing to copy, which a graph's capture would refuse
                    kernels.one[(_programs(row, kernels.BLOCKS),)](*row, **options)
                return
            for row in rows:
                row[kernels.Row.FIRST_PROGRAM] = total
                total += _programs(row, kernels.BLOCKS)
            table = torch.tensor(rows, dtype=torch.int64).to(device, non_blocking=True)
            kernels.many[(total,)](table, len(rows), COLUMNS=len(kernels.Row), **options)


def _geometry(out: Tensor, key: Key, start: int, stride: int) -> list[int]:
    """Where a job's elements lie in memory and in the stream, in the order of ``Row``."""
    if out.dim() == 2 and stride:
        (rows, width), (row_step, step) = out.shape, out.stride()
        per_row = (width + 62) // 64 + 1
    else:
        rows, width, row_step, step = 1, out.numel(), 0, out.stride()[0] if out.dim() == 1 else 1
        per_row = (start + width - 1) // 64 - start // 64 + 1
    seed, upper = _signed(key.k0 | key.k1 << 32), _signed(key.c2 | key.c3 << 32)
    return [out.data_ptr(), 0, rows, width, row_step, step, start, stride, per_row, seed, upper]


def _row(job: Job) -> list[int]:
    """A job as a row of the table that the kernels read."""
    law = job.law
    assert not isinstance(law, laws.Constant)
    least, most = law.limits
    low, high = (least, most) if isinstance(law, laws.Normal) else (law.low, law.high)
    numbers = [_pair(law.scale, law.shift), _pair(least, most), 0, 0, _double(low), _double(high), 0]
    if isinstance(law, laws.TruncNormal) and law.table is None:
        span = law.hi - law.lo
        numbers[2], numbers[3] = _signed(law.lo & 0xFFFFFFFF | (span & 0xFFFFFFFF) << 32), span >> 32
    if not isinstance(law, laws.Uniform):
        own = law.table if isinstance(law, laws.TruncNormal) else None
        table = normal_table(job.out.device) if own is None else _own_table(own, job.out.device)
        numbers[6] = table.data_ptr()
    return [*_geometry(job.out, job.key, job.start, job.stride), *numbers]


@functools.lru_cache(maxsize=256)
def _own_table(table: tuple[tuple[float, ...], ...], device: torch.device) -> Tensor:
    """An interval's quantile table on the device; it stays there, since a kernel reads it later."""
    with outside():
        return torch.tensor(table, dtype=torch.float32, device=device)


def _law_code(law: laws.Law) -> int:
    kernels = _kernels()
    if isinstance(law, laws.Uniform):
        return int(kernels.UNIFORM)
    if isinstance(law, laws.Normal):
        return int(kernels.NORMAL)
    assert isinstance(law, laws.TruncNormal)
    return int(kernels.TRUNCATED if law.table is None else kernels.TABULATED)


def _is_plain(row: list[int]) -> bool:
    """Whether a job is one row of elements side by side: nearly all are, and need a third fewer instructions."""
    return row[2] == 1 and row[5] == 1


def _programs(row: list[int], blocks: int) -> int:
    return -(-row[2] * row[8] // blocks)


def _element(tl: Any, dtype: torch.dtype) -> Any:
    """What the kernel stores; bf16 as its bits, which are rounded alike on every device and in the interpreter."""
    names = {torch.float32: "float32", torch.float64: "float64", torch.float16: "float16", torch.int32: "uint32"}
    return getattr(tl, names.get(dtype, "uint16"))


def _pair(first: float, second: float) -> int:
    return int(struct.unpack("<q", struct.pack("<2f", first, second))[0])


def _double(value: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits


def _address(tensor: Tensor) -> int:
    try:
        return tensor.data_ptr()
    except RuntimeError:  # wrapped by vmap, grad, …
        return 0


@functools.cache
def _kernels() -> Any:
    from . import _triton_kernels

    return _triton_kernels


@functools.cache
def triton(forced: bool = False) -> Triton | None:
    """The backend, or None where Triton is not installed or drives no device here.

    Raises:
        BackendError: it was asked for by name and cannot run here.
    """
    interpreted = os.environ.get("TRITON_INTERPRET", "0") == "1"
    if not interpreted and not torch.cuda.is_available():
        if forced:
            raise BackendError(
                "INITIUM_BACKEND='triton' needs a GPU that torch sees, or TRITON_INTERPRET=1 for its interpreter on the CPU"
            )
        return None
    try:
        kernels = _kernels()
    except ImportError as error:
        if forced:
            raise BackendError(
                f"INITIUM_BACKEND='triton' needs Triton ({error}): pip install triton, or write INITIUM_BACKEND=reference"
            ) from None
        return None
    return Triton(kernels, interpreted)
