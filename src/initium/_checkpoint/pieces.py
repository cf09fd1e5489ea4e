"""The tensors of a checkpoint, and one safetensors file of them: laid out, then drawn piece by piece while it is written.

safetensors has no aliases: a tied tensor is written under each of its keys, so that ``load_state_dict(strict=True)`` finds all.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor, nn

from .._copied import copied_values, held_whole
from .._entry import Row
from .._errors import ArgumentError, FileError, PlanError, WriteError, counted, listing, nearest
from .._execute import Batch
from .._files import memory_of
from .._plan import Plan
from .._programs import Blocks, Computed, Made, Program, Renamed
from .._stream import STREAM_VERSION
from .._text.forms import dtype_name
from .._text.plans import plan_digest, stored_rows

CHUNK = 1 << 24  # bytes drawn at once: large enough for the backend, small enough for the cache of pages
Progress = Callable[[int, int], None]
"""progress(bytes written, bytes in all)"""

DTYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
    "float64": torch.float64,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "fp64": torch.float64,
}
_CODES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.complex64: "C64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class Piece(NamedTuple):
    """One tensor of a checkpoint, and where its values come from: a row that is drawn, or a tensor that is copied."""

    key: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    row: Row | None
    copied: Tensor | None = None

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.numel * self.dtype.itemsize


def checked_dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    """The dtype that a name means.

    Raises:
        ArgumentError: not one that weights are drawn in.
    """
    if dtype is None or dtype in DTYPES.values():
        return dtype  # type: ignore[return-value]
    found = DTYPES.get(str(dtype).removeprefix("torch."))
    if found is None:
        raise ArgumentError(f"weights cannot be written as {dtype}.{nearest(str(dtype), DTYPES)} Known: {', '.join(DTYPES)}")
    return found


def metadata(plan: Plan, dtype: torch.dtype | None) -> dict[str, str]:
    """What the file says of itself: the same plan and dtype give the same bytes on any machine."""
    return {
        "format": "pt",
        "initium_plan": plan_digest(plan),
        "initium_seed": str(plan.seed),
        "initium_dtype": "as planned" if dtype is None else dtype_name(dtype),
        "initium_stream": str(STREAM_VERSION),
    }


def laid_out(
    plan: Plan, dtype: torch.dtype | None, values_from: nn.Module | None, *, sort: bool = True, any_dtype: bool = False
) -> list[Piece]:
    """The tensors of the checkpoint.

    Without a model the plan says which keys there are; with one its state_dict does, and what the plan does not know is copied.

    Args:
        plan, dtype, values_from: as ``write_plan`` takes them.
        sort: widest elements first, so that each is aligned in one file; else in the plan's order.
        any_dtype: also those that safetensors does not hold.
    """
    state = None if values_from is None else _state(values_from)
    rows = stored_rows(plan) if state is None else [row for row in plan.rows() if row.key in state]
    sources = {row.name: plan.row(row.related) if row.decision.kind == "tied" and row.related else row for row in rows}
    copied = copied_values(plan, list(sources.values()), values_from)
    pieces = []
    for row in rows:
        source = sources[row.name]
        d = source.decision
        pieces.append(Piece(row.key, d.shape, _stored_as(row.key, d.dtype, dtype, any_dtype), source, copied.get(source.name)))
    known = {piece.key for piece in pieces}
    if len(known) < len(pieces):
        raise PlanError("two tensors of the plan have the same key: write each part of the model by itself")
    for key, tensor in (state or {}).items():
        if key not in known:
            pieces.append(
                Piece(key, tuple(tensor.shape), _stored_as(key, tensor.dtype, dtype, any_dtype), None, held_whole(key, tensor))
            )
    return sorted(pieces, key=lambda piece: -piece.dtype.itemsize) if sort else pieces


def _stored_as(key: str, planned: torch.dtype, wanted: torch.dtype | None, any_dtype: bool) -> torch.dtype:
    dtype = wanted if wanted is not None and planned.is_floating_point else planned
    if dtype not in _CODES and not any_dtype:
        raise WriteError(f"{key} is {dtype_name(dtype)}, which safetensors does not hold")
    return dtype


def _state(model: nn.Module) -> dict[str, Tensor]:
    state = model.state_dict()
    strange = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if strange:
        raise WriteError(
            f"{counted(len(strange), 'value of the state_dict is no tensor', 'values of the state_dict are no tensors')}, and safetensors holds "
            f"nothing else:\n{listing(strange)}"
        )
    return state


def check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise FileError(
            f"the checkpoint needs {count_bytes(needed)}, and {folder} has {count_bytes(free)} free: the disk is too full"
        )


def count_bytes(n: int) -> str:
    """``4.4 GB``."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n} bytes"


def header(pieces: list[Piece], notes: Mapping[str, str]) -> bytes:
    """The file's first bytes: a length and a JSON text, padded so that the tensors start at a multiple of 8."""
    fields: dict[str, object] = {"__metadata__": dict(notes)}
    offset = 0
    for piece in pieces:
        end = offset + piece.nbytes
        fields[piece.key] = {"dtype": _CODES[piece.dtype], "shape": list(piece.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write_pieces(
    file: BinaryIO, pieces: list[Piece], plan: Plan, notes: Mapping[str, str], progress: Progress | None = None
) -> None:
    """One safetensors file: header, then each tensor's bytes; one thread writes a part while the next is drawn."""
    file.write(header(pieces, notes))
    total, done = sum(piece.nbytes for piece in pieces), 0
    spare = [torch.empty(min(CHUNK, total), dtype=torch.uint8, device="cpu") for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[int] | None = None
        for part in (part for piece in pieces for part in _parts(piece, plan, spare)):
            if waiting is not None:
                done += waiting.result()
                if progress is not None:
                    progress(done, total)
            waiting = pool.submit(_put, file, part)
        if waiting is not None:
            done += waiting.result()
            if progress is not None:
                progress(done, total)


def _put(file: BinaryIO, part: Tensor) -> int:
    with memory_of(part) as memory:
        place = file.tell()
        file.write(memory)
        file.flush()
        if hasattr(os, "posix_fadvise"):  # the disk begins now, not when the system has gathered gigabytes
            os.posix_fadvise(file.fileno(), place, len(memory), os.POSIX_FADV_DONTNEED)
        return len(memory)


def _parts(piece: Piece, plan: Plan, spare: list[Tensor]) -> Iterator[Tensor]:
    """A tensor's elements in row-major order, in parts of at most ``CHUNK`` bytes, drawn in ``spare`` memory by turns."""
    size = max(1, CHUNK // piece.dtype.itemsize)
    program = None if piece.row is None else piece.row.decision.program
    if piece.copied is not None:
        yield from piece.copied.to(piece.dtype).detach().reshape(-1).split(size)
    elif program is not None and made_whole(program):  # computing it again for each part would cost more than holding it
        yield from drawn_part(piece, plan, 0, piece.numel).split(size)
    else:
        for start in range(0, piece.numel, size):
            stop = min(start + size, piece.numel)
            spare.append(spare.pop(0))
            room = (
                spare[0][: (stop - start) * piece.dtype.itemsize]
                if size > 1
                else torch.empty(piece.dtype.itemsize, dtype=torch.uint8, device="cpu")
            )
            yield drawn_part(piece, plan, start, stop, room.view(piece.dtype))


def drawn_part(piece: Piece, plan: Plan, start: int, stop: int, out: Tensor | None = None) -> Tensor:
    """Elements ``start … stop`` (flat) of a tensor, as it is stored."""
    assert piece.row is not None
    program = piece.row.decision.program
    assert program is not None
    out = torch.empty(stop - start, dtype=piece.dtype, device="cpu") if out is None else out
    batch = Batch()
    batch.add_flat(out, program, plan.key_of(piece.row.name), piece.shape, start)
    batch.run()
    return out


def made_whole(program: Program) -> bool:
    """Whether a part of it costs as much as all of it."""
    if isinstance(program, Renamed):
        return made_whole(program.program)
    if isinstance(program, Blocks):
        return any(made_whole(part) for _, part in program.parts)
    return isinstance(program, (Made, Computed))
