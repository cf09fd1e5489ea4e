"""Write a plan as a checkpoint: one safetensors file, several with an index, or torch.distributed.checkpoint's format."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from .._errors import ArgumentError, FileError
from .._files import atomic_file, check_target, sentence
from .._plan import Plan
from .files import INDEX, bytes_of, part_of, shards_of, write_files
from .pieces import Progress, check_space, checked_dtype, laid_out, metadata, write_pieces

FORMATS = ("safetensors", "dcp")


def write_plan(
    plan: Plan,
    path: str | Path,
    *,
    dtype: torch.dtype | str | None = None,
    max_shard_size: int | str | None = None,
    format: str = "safetensors",
    part: tuple[int, int] | str | None = None,
    values_from: nn.Module | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Draw a plan straight into a checkpoint; the model is never held in memory, each file appears whole or not at all.

    Args:
        plan: what to draw.
        path: a file that ends in .safetensors, or a folder, made if need be, which gets ``model.safetensors`` or, with
            ``max_shard_size``, ``model-00001-of-0000N.safetensors`` … and ``model.safetensors.index.json``, as transformers loads them.
        dtype: of all floating tensors; None leaves each as the plan says. bf16 and fp16 are the fp32 values rounded once.
        max_shard_size: of a file, in bytes or as ``"5GB"``; a single tensor that is larger gets a file of its own. A file that is there
            and equal is left as it is, so a run that was killed goes on when it is started again.
        format: ``"safetensors"``, or ``"dcp"`` for a folder that ``torch.distributed.checkpoint.load`` reads on any mesh.
        part: ``(i, n)`` or ``"i/n"``: write every n-th file, from the i-th on, while others write the others; no process waits for
            another. In an initialised process group it is the rank's, unless said.
        values_from: the real model that the plan was made from: kept tensors are copied from it, and a parametrised weight's
            originals are worked out on it (and put back). Needed only where the plan has such entries.
        overwrite: replace what stands there.
        progress: called with (bytes written, bytes in all).

    Returns:
        The path of the file; of a checkpoint of several files the folder. The metadata of each file has format "pt", the plan's
        digest, the seed, the dtype and the stream version. The index is written by whoever finds all files there.

    Raises:
        PlanError: an entry whose values nobody has. FileError: the target exists and differs, no space, no permission. WriteError:
            a tensor that the format cannot hold. ArgumentError: a size, part or format that cannot be. What stood there stays.

    Example:
        >>> plan = initium.plan(nn.Linear(3, 2), "he", seed=0)
        >>> write_plan(plan, "linear.safetensors", dtype="bfloat16").name  # doctest: +SKIP
        'linear.safetensors'
    """
    path, chosen = Path(path), checked_dtype(dtype)
    if format not in FORMATS:
        raise ArgumentError(f"format is one of {', '.join(FORMATS)}, not {format!r}")
    most = None if max_shard_size is None else bytes_of(max_shard_size)
    if format == "dcp":
        if most is not None or part is not None:
            raise ArgumentError('format="dcp" is written by one process, in one file: leave out max_shard_size and part')
        from .dcp import check_folder, write_dcp

        check_folder(path, overwrite=overwrite)
        write_dcp(path, laid_out(plan, chosen, values_from, any_dtype=True), plan, overwrite=overwrite, progress=progress)
        return path
    if most is None:
        if part is not None:
            raise ArgumentError("part needs several files: say max_shard_size, as '5GB'")
        return _one_file(plan, path, chosen, values_from, overwrite, progress)
    if path.suffix == ".safetensors":
        raise ArgumentError(f"{path} is one file, and max_shard_size makes several: say a folder")
    mine = part_of(part)
    _check_folder(path)
    shards = shards_of(laid_out(plan, chosen, values_from, sort=False), most)
    folder_is_new = _made(path)
    try:
        write_files(path, shards, plan, metadata(plan, chosen), mine, overwrite=overwrite, progress=progress)
    except BaseException:
        if folder_is_new and not any(path.iterdir()):
            path.rmdir()
        raise
    return path if len(shards) > 1 else path / shards[0].name


def _one_file(
    plan: Plan, path: Path, dtype: torch.dtype | None, values_from: nn.Module | None, overwrite: bool, progress: Progress | None
) -> Path:
    target = _target(path)
    check_output(path, overwrite=overwrite)
    pieces = laid_out(plan, dtype, values_from)
    folder_is_new = target != path and _made(target.parent)
    try:
        check_space(target.parent, sum(piece.nbytes for piece in pieces))
        with atomic_file(target, overwrite=overwrite) as file:
            write_pieces(file, pieces, plan, metadata(plan, dtype), progress)
    except BaseException:
        if folder_is_new:
            target.parent.rmdir()
        raise
    return target


def check_output(path: Path, *, overwrite: bool, several: bool = False) -> None:
    """Refuse a target that cannot be written, before any work is done for it; ``several``: a folder that may hold a part already."""
    if several:
        _check_folder(path)
        return
    target = _target(path)
    if target == path or path.is_dir():
        check_target(target, overwrite=overwrite)
        if target != path and (path / INDEX).exists():
            raise FileError(f"{path} holds a checkpoint of several files ({INDEX}): write to another folder")
    else:
        _check_folder(path)


def _check_folder(path: Path) -> None:
    if not path.is_dir() and (not path.parent.is_dir() or path.exists()):
        raise FileError(
            f"the folder {path} cannot be made: {'it is a file' if path.exists() else f'there is no folder {path.parent}'}"
        )


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
        if not folder.is_dir():
            raise FileError(f"the folder {folder} cannot be made: it is a link that leads nowhere") from None
        return False
    except OSError as error:
        raise FileError(f"the folder {folder} cannot be made: {sentence(error)}") from None
    return True
