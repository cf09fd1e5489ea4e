"""The native CPU backend: the library in ``csrc/``, by ctypes (which releases the GIL), for plain tensors in memory.

Nothing is loaded before the first draw. Where the library is missing (the install found no C++ compiler) everything still works
by the reference backend, and one warning says that it is slower.
"""

from __future__ import annotations

import array
import ctypes
import functools
import math
import struct
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from .. import _laws as laws
from .._errors import BackendError
from .._stream import VALUES, Key, key_head
from .._tensors import address
from ._protocol import Alike, Job

_ABI = 2  # what csrc/initium.h must say
_CONSTANT, _WORDS, _UNIFORM, _NORMAL, _TRUNCATED, _TABULATED = range(6)
_DTYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}
_U32 = 4
_LAW = struct.Struct("=qqQqqQdd4f")  # initium_law
_JOB = struct.Struct("=Q11q")  # initium_job
_FIELDS, _KEY_FIELD = 12, 8  # of it, 8 bytes each; where the key begins

_DENORMAL = 5e-324

_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
LIBRARY = Path(__file__).resolve().parent.parent / "_native" / f"libinitium{_SUFFIX}"
TARGETS = ("avx512", "avx2", "neon", "scalar")


P = ParamSpec("P")
T = TypeVar("T")


def _unflushed(function: Callable[P, T]) -> Callable[P, T]:
    """The function, run while denormals are kept: a law's own numbers would lose theirs on the way to fp32."""

    @functools.wraps(function)
    def keeping(*args: P.args, **kwargs: P.kwargs) -> T:
        if _DENORMAL * 1.0:
            return function(*args, **kwargs)
        torch.set_flush_denormal(False)
        try:
            return function(*args, **kwargs)
        finally:
            torch.set_flush_denormal(True)

    return keeping


class Native:
    """Every law on every plain CPU tensor, by one of the library's targets."""

    def __init__(self, library: ctypes.CDLL, target: int, name: str) -> None:
        self.name = name
        self._library = library
        self._target = target

    def serves(self, tensor: Tensor) -> bool:
        return tensor.dtype in _DTYPES and _address(tensor) != 0

    def fill(self, jobs: Sequence[Job]) -> None:
        if self.fill_served(jobs):
            raise BackendError("the native backend was given a tensor that it does not serve")

    @_unflushed
    def fill_served(self, jobs: Sequence[Job]) -> list[Job]:
        """Runs the jobs on tensors that it serves, in one call of the library; the others come back."""
        law_index: dict[torch.dtype, dict[int, int]] = {dtype: {} for dtype in _DTYPES}  # by id: the jobs keep the laws alive
        tables: list[array.array[float]] = []  # their memory is read until the call returns
        packed_laws: list[bytes] = []
        packed_jobs: list[bytes] = []
        others: list[Job] = []
        pack = _JOB.pack
        for job in jobs:  # two microseconds each, which is what small tensors cost
            out, law, key, start, stride = job
            dtype, count = out.dtype, out.numel()
            known = law_index.get(dtype)
            if known is None or not (begin := _address(out)):
                if count:
                    others.append(job)
                continue
            index = known.get(id(law))
            if index is None:
                packed = _packed(law, dtype, tables)
                if packed is None:
                    with torch.no_grad():
                        out.fill_(law.value)  # type: ignore[union-attr]  # torch refuses it, in its own words
                    continue
                index = known[id(law)] = len(packed_laws)
                packed_laws.append(packed)
            if stride == 0 and out.is_contiguous():
                packed_jobs.append(pack(begin, index, 1, count, 0, 1, start, 0, *key))
            else:
                packed_jobs.append(pack(begin, index, *_layout(out, stride), start, stride, *key))
        if packed_jobs:
            self._run(b"".join(packed_jobs), len(packed_jobs), packed_laws)
        return others

    @_unflushed
    def fill_named(self, groups: Sequence[Alike], seed: int) -> tuple[list[Alike], list[Alike]]:
        """Runs the groups all of whose tensors it serves, in one call of the library: (those, the others)."""
        served: list[Alike] = []
        others: list[Alike] = []
        tables: list[array.array[float]] = []  # their memory is read until the call returns
        packed_laws: list[bytes] = []
        addresses, sizes, indices, names = array.array("q"), array.array("q"), array.array("q"), list[str]()
        for group in groups:
            found = _addresses(group.outs)
            packed = _packed(group.law, group.outs[0].dtype, tables) if found else None
            if packed is None:
                others.append(group)
                continue
            addresses.extend(found)
            sizes.extend([group.outs[0].numel()] * len(found))
            indices.extend([len(packed_laws)] * len(found))
            names += group.names
            packed_laws.append(packed)
            served.append(group)
        if served:
            count = len(names)
            jobs, ones = array.array("q", bytes(8 * _FIELDS * count)), array.array("q", [1]) * count
            # out, law, rows, width and step; row step, start and stride are 0
            for field, column in ((0, addresses), (1, indices), (2, ones), (3, sizes), (5, ones)):
                jobs[field::_FIELDS] = column
            self._write_keys(seed, VALUES, names, jobs, _KEY_FIELD, _FIELDS)
            self._run(jobs.buffer_info()[0], count, packed_laws)
        return served, others

    def keys(self, seed: int, names: Sequence[str], tag: str = VALUES) -> list[Key]:
        """``_stream.derive_key`` of many names."""
        words = array.array("q", bytes(32 * len(names)))
        self._write_keys(seed, tag, names, words, 0, 4)
        return [Key(*words[place : place + 4]) for place in range(0, len(words), 4)]

    def _write_keys(self, seed: int, tag: str, names: Iterable[str], to: array.array[int], place: int, step: int) -> None:
        """Name after name the four words of its key, from ``place`` on, ``step`` places apart."""
        head, encoded = key_head(seed, tag), [name.encode() for name in names]
        lengths, begin = array.array("q", map(len, encoded)), to.buffer_info()[0] + 8 * place
        at = lengths.buffer_info()[0]
        self._library.initium_keys(head, len(head), b"".join(encoded), at, len(encoded), begin, step)

    def words(self, key: Key, start: int, count: int) -> Tensor:
        """The stream's words, as ``_stream.words`` gives them: int64 values in [0, 2**32)."""
        out = torch.empty(count, dtype=torch.int32, device="cpu")
        law = _LAW.pack(_WORDS, _U32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        self._run(_JOB.pack(out.data_ptr(), 0, 1, count, 0, 1, start, 0, *key), 1, [law])
        return out.long() & 0xFFFFFFFF

    def block(self, counter: int, key: Key) -> list[int]:
        """The 64 words of the 16 counters from ``counter`` (a multiple of 16) on: word k of counter i at 16 k + i."""
        words = (ctypes.c_uint32 * 64)()
        self._library.initium_block(self._target, counter, (ctypes.c_uint32 * 4)(*key), words)
        return list(words)

    def _run(self, jobs: bytes | int, count: int, packed_laws: list[bytes]) -> None:
        """Jobs as they are packed, or their address."""
        if self._library.initium_fill(self._target, jobs, count, b"".join(packed_laws), torch.get_num_threads()) != 0:
            raise BackendError(
                "the native library refused a job (a defect of initium): INITIUM_BACKEND=reference draws without it"
            )


def _address(tensor: Tensor) -> int:
    """Where a plain CPU tensor's elements lie; 0 for those that have no memory, or whose memory is not what they show."""
    # neg: the imaginary part of a lazy conjugate, whose memory has the other sign
    return 0 if not tensor.is_cpu or tensor.is_neg() else address(tensor)


def _addresses(outs: list[Tensor]) -> list[int]:
    """Where ordinary tensors of one dtype lie; [] unless it is one of ours and all lie in the CPU's memory."""
    found = [out.data_ptr() for out in outs if out.is_cpu] if outs[0].dtype in _DTYPES else []
    return found if len(found) == len(outs) and all(found) else []


def _layout(out: Tensor, stride: int) -> tuple[int, int, int, int]:
    """(rows, width, row step, step) of a 1-D or 2-D tensor; one row where memory and addresses both run on."""
    if out.dim() == 1:
        return 1, out.numel(), 0, out.stride()[0]
    rows, width = out.shape
    row_step, step = out.stride()
    if step == 1 and row_step == width == stride:
        return 1, rows * width, 0, 1
    return rows, width, row_step, step


def _packed(law: laws.Law, dtype: torch.dtype, tables: list[array.array[float]]) -> bytes | None:
    """The law as the library's ``initium_law``; None for a constant that the dtype cannot hold."""
    code = _DTYPES[dtype]
    if isinstance(law, laws.Constant):
        bits = _constant_bits(law.value, dtype)
        return None if bits is None else _LAW.pack(_CONSTANT, code, bits, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    if isinstance(law, laws.TruncNormal) and law.table is not None:
        table = array.array("f", [c for row in law.table for c in row])
        tables.append(table)
        return _LAW.pack(_TABULATED, code, 0, 0, 0, table.buffer_info()[0], law.low, law.high, *_affine(law))
    if isinstance(law, laws.Normal):
        return _LAW.pack(_NORMAL, code, 0, 0, 0, 0, *law.limits, *_affine(law))
    if isinstance(law, laws.Uniform):
        return _LAW.pack(_UNIFORM, code, 0, 0, 0, 0, law.low, law.high, *_affine(law))
    return _LAW.pack(_TRUNCATED, code, 0, law.lo, law.hi - law.lo, 0, law.low, law.high, *_affine(law))


def _affine(law: laws.Uniform | laws.Normal | laws.TruncNormal) -> tuple[float, float, float, float]:
    return law.scale, law.shift, *law.limits


def _constant_bits(value: float | complex, dtype: torch.dtype) -> int | None:
    """The bit pattern that ``fill_`` writes: fp16 and bf16 are rounded by way of fp32. None for what ``fill_`` refuses."""
    if isinstance(value, complex):
        return None
    if dtype is torch.float64:
        return int.from_bytes(struct.pack("=d", value), sys.byteorder)
    try:
        single = struct.pack("=f", value)
        if dtype is torch.float32:
            return int.from_bytes(single, sys.byteorder)
        if dtype is torch.float16:
            return int.from_bytes(struct.pack("=e", struct.unpack("=f", single)[0]), sys.byteorder)
    except OverflowError:
        return None
    if math.isnan(value):
        return 0x7FC0
    bits = int.from_bytes(single, sys.byteorder)
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


@functools.cache
def native(target: str | None = None) -> Native | None:
    """The backend by its best target, or by the one named; None, after a warning, where there is no library.

    Raises:
        BackendError: the target that is named cannot run here.
    """
    library = _library()
    if library is None:
        if target is not None:
            raise BackendError(
                f"INITIUM_BACKEND={target!r} needs the native library, which is not here ({LIBRARY.name}): install initium "
                "again where there is a C++ compiler, or write INITIUM_BACKEND=reference"
            )
        return None
    compiled = library.initium_targets().decode().split()
    if target is None:
        return next(found for name in compiled if (found := _target(library, name)) is not None)
    if target not in compiled:
        raise BackendError(f"INITIUM_BACKEND={target!r} is not in this build of initium, which has {', '.join(compiled)}")
    found = _target(library, target)
    if found is None:
        runs = [name for name in compiled if _target(library, name) is not None]
        raise BackendError(f"INITIUM_BACKEND={target!r} needs instructions that this CPU lacks; it runs {', '.join(runs)}")
    return found


def _target(library: ctypes.CDLL, name: str) -> Native | None:
    number = library.initium_target(name.encode())
    return Native(library, number, name) if number >= 0 else None


@functools.cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(LIBRARY))
        if library.initium_abi() != _ABI:
            raise OSError(f"{LIBRARY.name} is of another version of initium: install it again")
    except OSError as error:
        reason = str(error) if LIBRARY.exists() else "the install found no C++ compiler"
        warnings.warn(
            f"initium draws by torch operations, which give the same numbers some ten times slower: {reason}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    pointer, i32, i64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
    library.initium_targets.restype = ctypes.c_char_p
    library.initium_target.argtypes = [ctypes.c_char_p]
    library.initium_fill.argtypes = [i32, pointer, i64, ctypes.c_char_p, i32]
    library.initium_keys.argtypes = [ctypes.c_char_p, i64, ctypes.c_char_p, pointer, i64, pointer, i64]
    library.initium_keys.restype = None
    library.initium_block.argtypes = [i32, ctypes.c_uint64, pointer, pointer]
    return library
