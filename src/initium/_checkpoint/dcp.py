"""A checkpoint in torch.distributed.checkpoint's format: torch's own writer, given tensors that are drawn when it asks for them."""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint import FileSystemWriter, save  # type: ignore[attr-defined]
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorProperties
from torch.distributed.checkpoint.planner import SavePlan, TensorWriteData, WriteItem, WriteItemType

from .._errors import FileError, WriteError
from .._files import host, sentence
from .._plan import Plan
from .pieces import Piece, Progress, check_space, drawn_part, made_whole

ALONE: dict[str, Any] = {"no_dist": True} if "no_dist" in inspect.signature(save).parameters else {}  # came with torch 2.7
CHUNK = 1 << 28  # bytes of one tensor that torch's writer holds at a time


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a target that cannot become the checkpoint's folder."""
    if folder.is_dir():
        if not overwrite and any(folder.iterdir()):
            raise FileError(
                f"{folder} is not empty: write to another folder, or say overwrite=True (--force on the command line)"
            )
    elif folder.exists() or not folder.parent.is_dir():
        raise FileError(
            f"the folder {folder} cannot be made: {'it is a file' if folder.exists() else f'there is no folder {folder.parent}'}"
        )


def write_dcp(folder: Path, pieces: list[Piece], plan: Plan, *, overwrite: bool, progress: Progress | None) -> None:
    """Write a folder that ``torch.distributed.checkpoint.load`` reads, on any number of ranks; it appears whole or not at all.

    Raises:
        FileError: something stands there, or the disk refuses. WriteError: this torch would ask other ranks.
    """
    if not ALONE and torch.distributed.is_initialized():
        raise WriteError(
            "torch before 2.7 writes format='dcp' only where there is no process group: write it from a process of its own"
        )
    check_space(folder.parent, sum(piece.nbytes for piece in pieces))
    hidden = folder.with_name(f".{folder.name}.{host()}.{os.getpid()}.tmp")
    try:
        with _quietly():
            writer = FileSystemWriter(hidden, single_file_per_rank=True, sync_files=True)
            save({}, storage_writer=writer, planner=_Planner(pieces, plan, progress), **ALONE)
        if folder.exists():
            old = hidden.with_name(hidden.name + ".old")
            folder.rename(old)
            hidden.rename(folder)
            shutil.rmtree(old)
        else:
            hidden.rename(folder)
    except (OSError, CheckpointException) as error:
        raise FileError(f"{folder} cannot be written: {_refusal(error)}; nothing was left behind") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _refusal(error: OSError | CheckpointException) -> str:
    """What the disk said, which torch wraps; its writer of zip files knows a full one by a file that is too short only."""
    inner = next(iter(error.failures.values()))[0] if isinstance(error, CheckpointException) else error
    if isinstance(inner, OSError):
        return sentence(inner)
    if "unexpected pos" in str(inner):
        return "the disk is full"
    raise inner


class _Planner(DefaultSavePlanner):
    """What torch's writer asks: which pieces there are, and then for one after the other."""

    def __init__(self, pieces: list[Piece], plan: Plan, progress: Progress | None) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self._pieces, self._drawn_from, self._progress = {piece.key: piece for piece in pieces}, plan, progress
        self._done, self._total = 0, sum(piece.nbytes for piece in pieces)

    def create_local_plan(self) -> SavePlan:
        items = [item for piece in self._pieces.values() for item in _items(piece)]
        self.plan = SavePlan(items)
        return self.plan

    def resolve_data(self, write_item: WriteItem) -> Tensor:
        piece, data = self._pieces[write_item.index.fqn], write_item.tensor_data
        assert data is not None
        chunk = data.chunk
        if piece.copied is not None:
            values = piece.copied.to(piece.dtype).clone()
        else:
            row = math.prod(piece.shape[1:])
            start = chunk.offsets[0] * row if piece.shape else 0
            values = drawn_part(piece, self._drawn_from, start, start + math.prod(chunk.sizes)).view(chunk.sizes)
        self._done += values.numel() * piece.dtype.itemsize
        if self._progress is not None:
            self._progress(self._done, self._total)
        return values


def _items(piece: Piece) -> Iterator[WriteItem]:
    """A tensor as one item, or as several stretches of its rows where it is large."""
    rows = piece.shape[0] if piece.shape else 1
    program = None if piece.row is None else piece.row.decision.program
    at_once = rows
    if piece.copied is None and program is not None and not made_whole(program) and piece.numel:
        at_once = max(1, CHUNK * rows // max(piece.nbytes, 1))
    many = at_once < rows
    for first in range(0, max(rows, 1), max(at_once, 1)):
        sizes = torch.Size([min(at_once, rows - first), *piece.shape[1:]] if piece.shape else [])
        offsets = torch.Size([first] + [0] * (len(piece.shape) - 1) if piece.shape else [])
        yield WriteItem(
            index=MetadataIndex(piece.key, offsets),
            type=WriteItemType.SHARD if many else WriteItemType.TENSOR,
            tensor_data=TensorWriteData(
                chunk=ChunkStorageMetadata(offsets=offsets, sizes=sizes),
                properties=TensorProperties(dtype=piece.dtype),
                size=torch.Size(piece.shape),
            ),
        )


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """torch warns that no process group is there, which is what is meant."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
