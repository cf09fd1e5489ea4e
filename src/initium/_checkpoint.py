"""Checkpoint: a plan streamed to safetensors without holding the model. Lay out, check, then draw piece by piece into the file.

safetensors has no aliases: a tied tensor is written under each of its keys, so that ``load_state_dict(strict=True)`` finds all.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor, nn

from ._copied import copied_values
from ._errors import ArgumentError, FileError, PlanError, WriteError, listing, nearest
from ._execute import Batch
from ._files import atomic_file, check_target, memory_of, sentence
from ._plan import Plan, Row
from ._programs import Blocks, Computed, Made, Program, Renamed
from ._stream import STREAM_VERSION
from ._text.forms import dtype_name
from ._text.plans import plan_digest, stored_rows

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


def write_plan(
    plan: Plan,
    path: str | Path,
    *,
    dtype: torch.dtype | str | None = None,
    values_from: nn.Module | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Draw a plan straight into one safetensors file; the model is never held in memory, the file appears whole or not at all.

    Args:
        plan: what to draw.
        path: a file that ends in .safetensors, or a folder, made if need be, which gets ``model.safetensors``.
        dtype: of all floating tensors; None leaves each as the plan says. bf16 and fp16 are the fp32 values rounded once.
        values_from: the real model that the plan was made from: kept tensors are copied from it, and a parametrised weight's
            originals are worked out on it (and put back). Needed only where the plan has such entries.
        overwrite: replace a file that stands there.
        progress: called with (bytes written, bytes in all).

    Returns:
        The path of the file. Its metadata has format "pt", the plan's digest, the seed, the dtype and the stream version.

    Raises:
        PlanError: an entry whose values nobody has. FileError: the target exists, no space, no permission. WriteError: a tensor
            that the format cannot hold. Nothing is written then.

    Example:
        >>> plan = initium.plan(nn.Linear(3, 2), "he", seed=0)
        >>> write_plan(plan, "linear.safetensors", dtype="bfloat16").name  # doctest: +SKIP
        'linear.safetensors'
    """
    target, chosen = _target(Path(path)), checked_dtype(dtype)
    check_output(Path(path), overwrite=overwrite)
    pieces = laid_out(plan, chosen, values_from)
    folder_is_new = target != Path(path) and _made(target.parent)
    try:
        _check_space(target.parent, sum(piece.nbytes for piece in pieces))
        with atomic_file(target, overwrite=overwrite) as file:
            write_pieces(file, pieces, plan, metadata(plan, chosen), progress)
    except BaseException:
        if folder_is_new:
            target.parent.rmdir()
        raise
    return target


def check_output(path: Path, *, overwrite: bool) -> None:
    """Refuse a target that cannot be written, before any work is done for it."""
    target = _target(path)
    if target == path or path.is_dir():
        check_target(target, overwrite=overwrite)
    elif not path.parent.is_dir() or path.exists():
        raise FileError(
            f"the folder {path} cannot be made: {'it is a file' if path.exists() else f'there is no folder {path.parent}'}"
        )


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


def laid_out(plan: Plan, dtype: torch.dtype | None, values_from: nn.Module | None) -> list[Piece]:
    """The tensors of the checkpoint, widest elements first, so that each is aligned; in the plan's order otherwise.

    Without a model the plan says which keys there are; with one its state_dict does, and what the plan does not know is copied.
    """
    state = None if values_from is None else _state(values_from)
    rows = stored_rows(plan) if state is None else [row for row in plan.rows() if row.key in state]
    sources = {row.name: plan.row(row.related) if row.decision.kind == "tied" and row.related else row for row in rows}
    copied = copied_values(plan, list(sources.values()), values_from)
    pieces = []
    for row in rows:
        source = sources[row.name]
        d = source.decision
        pieces.append(Piece(row.key, d.shape, _stored_as(row.key, d.dtype, dtype), source, copied.get(source.name)))
    known = {piece.key for piece in pieces}
    if len(known) < len(pieces):
        raise PlanError("two tensors of the plan have the same key: write each part of the model by itself")
    for key, tensor in (state or {}).items():
        if key not in known:
            pieces.append(Piece(key, tuple(tensor.shape), _stored_as(key, tensor.dtype, dtype), None, tensor))
    return sorted(pieces, key=lambda piece: -piece.dtype.itemsize)


def _stored_as(key: str, planned: torch.dtype, wanted: torch.dtype | None) -> torch.dtype:
    dtype = wanted if wanted is not None and planned.is_floating_point else planned
    if dtype not in _CODES:
        raise WriteError(f"{key} is {dtype_name(dtype)}, which safetensors does not hold")
    return dtype


def _state(model: nn.Module) -> dict[str, Tensor]:
    state = model.state_dict()
    strange = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if strange:
        raise WriteError(
            f"{len(strange)} values of the state_dict are no tensors, and safetensors holds only those:\n{listing(strange)}"
        )
    return state


def _target(path: Path) -> Path:
    if path.suffix == ".safetensors" and not path.is_dir():
        return path
    if path.suffix and not path.is_dir():
        raise ArgumentError(f"{path}: a checkpoint is a file that ends in .safetensors, or a folder")
    return path / "model.safetensors"


def _made(folder: Path) -> bool:
    """Make a folder; whether it was not there."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    except OSError as error:
        raise FileError(f"the folder {folder} cannot be made: {sentence(error)}") from None
    return True


def _check_space(folder: Path, needed: int) -> None:
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
    """One safetensors file: header, then each tensor's bytes, drawn as they are written."""
    file.write(header(pieces, notes))
    total, done = sum(piece.nbytes for piece in pieces), 0
    for piece in pieces:
        for part in _drawn(piece, plan) if piece.copied is None else _parts(piece.copied.to(piece.dtype)):
            with memory_of(part) as memory:
                file.write(memory)
                done += len(memory)
            if progress is not None:
                progress(done, total)


def _parts(tensor: Tensor) -> Iterator[Tensor]:
    flat = tensor.detach().reshape(-1)
    return iter(flat.split(max(1, CHUNK // flat.element_size())))


def _drawn(piece: Piece, plan: Plan) -> Iterator[Tensor]:
    assert piece.row is not None
    row, size = piece.row, max(1, CHUNK // piece.dtype.itemsize)
    program = row.decision.program
    assert program is not None
    if made_whole(program):
        size = max(piece.numel, 1)  # computing it again for each piece would cost more than holding it
    for start in range(0, piece.numel, size):
        out = torch.empty(min(size, piece.numel - start), dtype=piece.dtype)
        batch = Batch()
        batch.add_flat(out, program, plan.key_of(row.name), piece.shape, start)
        batch.run()
        yield out


def made_whole(program: Program) -> bool:
    """Whether a part of it costs as much as all of it."""
    if isinstance(program, Renamed):
        return made_whole(program.program)
    if isinstance(program, Blocks):
        return any(made_whole(part) for _, part in program.parts)
    return isinstance(program, (Made, Computed))
