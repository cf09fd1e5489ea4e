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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor

from .. import _laws as laws
from .._errors import BackendError
from .._stream import VALUES, Key, key_head
from .._tensors import address
from ._protocol import Alike, Job

_ABI = 3  # what csrc/initium.h must say
_CONSTANT, _WORDS, _UNIFORM, _NORMAL, _TRUNCATED, _TABULATED = range(6)
_DTYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}
_U32 = 4
_LAW = struct.Struct("=qqQqqQdd4f")  # initium_law
_JOB = struct.Struct("=Q11q")  # initium_job
_NAMED = struct.Struct("=Qqqq")  # initium_named

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
        indices: dict[tuple[int, torch.dtype], int] = {}  # of the laws, by id: the jobs keep them alive
        packed_laws: list[_Packed] = []
        packed_jobs: list[bytes] = []
        others: list[Job] = []
        pack = _JOB.pack
        for job in jobs:  # two microseconds each, which is what small tensors cost
            out, law, key, start, stride = job
            dtype, count = out.dtype, out.numel()
            begin = _address(out) if dtype in _DTYPES else 0
            if not begin:
                if count:
                    others.append(job)
                continue
            index = indices.get((id(law), dtype))
            if index is None:
                packed = _packed(law, dtype)
                if packed is None:
                    with torch.no_grad():
                        out.fill_(law.value)  # type: ignore[union-attr]  # torch refuses it, in its own words
                    continue
                index = indices[id(law), dtype] = len(packed_laws)
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
        packed_laws: list[_Packed] = []
        addresses, indices, sizes, names = array.array("q"), array.array("q"), array.array("q"), list[bytes]()
        for group in groups:
            found = _addresses(group.outs)
            packed = _packed(group.law, group.outs[0].dtype) if found else None
            if packed is None:
                others.append(group)
                continue
            addresses.extend(found)
            indices.extend([len(packed_laws)] * len(found))
            sizes.extend([group.outs[0].numel()] * len(found))
            names += [name.encode() for name in group.names]
            packed_laws.append(packed)
            served.append(group)
        if served:
            tensors = array.array("q", bytes(_NAMED.size * len(names)))
            for place, column in enumerate((addresses, indices, sizes, array.array("q", map(len, names)))):
                tensors[place::4] = column
            self._run_named(tensors.buffer_info()[0], len(names), b"".join(names), key_head(seed, VALUES), packed_laws)
        return served, others

    @_unflushed
    def fill_alone(self, out: Tensor, law: laws.Law, seed: int, tag: str) -> bool:
        """Fills an ordinary tensor that has no name, if it serves it."""
        packed = _packed(law, out.dtype) if out.is_cpu else None
        if packed is not None:
            self._run_named(_NAMED.pack(out.data_ptr(), 0, out.numel(), 0), 1, b"", key_head(seed, tag), [packed])
        return packed is not None

    def key(self, seed: int, name: str, tag: str = VALUES) -> Key:
        """``_stream.derive_key`` as the library does it."""
        words, head, encoded = (ctypes.c_int64 * 4)(), key_head(seed, tag), name.encode()
        self._library.initium_key(head, len(head), encoded, len(encoded), words)
        return Key(*words)

    def words(self, key: Key, start: int, count: int) -> Tensor:
        """The stream's words, as ``_stream.words`` gives them: int64 values in [0, 2**32)."""
        out = torch.empty(count, dtype=torch.int32, device="cpu")
        law = _Packed(_LAW.pack(_WORDS, _U32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        self._run(_JOB.pack(out.data_ptr(), 0, 1, count, 0, 1, start, 0, *key), 1, [law])
        return out.long() & 0xFFFFFFFF

    def block(self, counter: int, key: Key) -> list[int]:
        """The 64 words of the 16 counters from ``counter`` (a multiple of 16) on: word k of counter i at 16 k + i."""
        words = (ctypes.c_uint32 * 64)()
        self._library.initium_block(self._target, counter, (ctypes.c_uint32 * 4)(*key), words)
        return list(words)

    def _run(self, jobs: bytes, count: int, packed_laws: list[_Packed]) -> None:
        threads = torch.get_num_threads()
        self._done(self._library.initium_fill(self._target, jobs, count, _joined(packed_laws), threads))

    def _run_named(self, tensors: bytes | int, count: int, names: bytes, head: bytes, packed_laws: list[_Packed]) -> None:
        """Tensors as they are packed, or their address."""
        threads = torch.get_num_threads()
        run = self._library.initium_fill_named
        self._done(run(self._target, tensors, count, names, head, len(head), _joined(packed_laws), threads))

    def _done(self, returned: int) -> None:
        if returned != 0:
            raise BackendError(
                "the native library refused a job (a defect of initium): INITIUM_BACKEND=reference draws without it"
            )


class _Packed(NamedTuple):
    """A law as the library's ``initium_law``."""

    numbers: bytes
    table: array.array[float] | None = None  # its memory is read until the call returns
    law: laws.Law | None = None


def _joined(packed_laws: list[_Packed]) -> bytes:
    return b"".join([packed.numbers for packed in packed_laws])


def _address(tensor: Tensor) -> int:
    """Where a plain CPU tensor's elements lie; 0 for those that have no memory, or whose memory is not what they show."""
    # neg: the imaginary part of a lazy conjugate, whose memory has the other sign
    return 0 if not tensor.is_cpu or tensor.is_neg() else address(tensor)


def _addresses(outs: list[Tensor]) -> list[int]:
    """Where ordinary tensors lie; [] unless all lie in the CPU's memory."""
    found = [out.data_ptr() for out in outs if out.is_cpu]
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


_KNOWN: dict[tuple[int, torch.dtype], _Packed] = {}  # by the id of a law, which what it is packed as keeps alive


def _packed(law: laws.Law, dtype: torch.dtype) -> _Packed | None:
    """The law as the library takes it; None for a dtype that it does not write, and for a constant that the dtype cannot hold."""
    known = _KNOWN.get((id(law), dtype))
    if known is None and dtype in _DTYPES:
        table = (
            array.array("f", [c for row in law.table for c in row]) if isinstance(law, laws.TruncNormal) and law.table else None
        )
        numbers = _numbers(law, _DTYPES[dtype], table)
        if numbers is not None:
            if len(_KNOWN) >= 256:
                _KNOWN.clear()
            known = _KNOWN[id(law), dtype] = _Packed(numbers, table, law)
    return known


def _numbers(law: laws.Law, dtype: int, table: array.array[float] | None) -> bytes | None:
    if isinstance(law, laws.Constant):
        bits = _constant_bits(law.value, dtype)
        return None if bits is None else _LAW.pack(_CONSTANT, dtype, bits, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    if isinstance(law, laws.Normal):
        return _LAW.pack(_NORMAL, dtype, 0, 0, 0, 0, *law.limits, *_affine(law))
    if isinstance(law, laws.Uniform):
        return _LAW.pack(_UNIFORM, dtype, 0, 0, 0, 0, law.low, law.high, *_affine(law))
    if table is not None:
        return _LAW.pack(_TABULATED, dtype, 0, 0, 0, table.buffer_info()[0], law.low, law.high, *_affine(law))
    return _LAW.pack(_TRUNCATED, dtype, 0, law.lo, law.hi - law.lo, 0, law.low, law.high, *_affine(law))


def _affine(law: laws.Uniform | laws.Normal | laws.TruncNormal) -> tuple[float, float, float, float]:
    return law.scale, law.shift, *law.limits


def _constant_bits(value: float | complex, dtype: int) -> int | None:
    """The bit pattern that ``fill_`` writes: fp16 and bf16 are rounded by way of fp32. None for what ``fill_`` refuses."""
    if isinstance(value, complex):
        return None
    if dtype == _DTYPES[torch.float64]:
        return int.from_bytes(struct.pack("=d", value), sys.byteorder)
    try:
        single = struct.pack("=f", value)
        if dtype == _DTYPES[torch.float32]:
            return int.from_bytes(single, sys.byteorder)
        if dtype == _DTYPES[torch.float16]:
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
    pointer, text, i32, i64 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int64
    library.initium_targets.restype = ctypes.c_char_p
    library.initium_target.argtypes = [ctypes.c_char_p]
    library.initium_fill.argtypes = [i32, text, i64, text, i32]
    library.initium_fill_named.argtypes = [i32, pointer, i64, text, text, i64, text, i32]
    library.initium_key.argtypes = [text, i64, text, i64, pointer]
    library.initium_key.restype = None
    library.initium_block.argtypes = [i32, ctypes.c_uint64, pointer, pointer]
    return library
