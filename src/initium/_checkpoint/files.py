"""A checkpoint of several safetensors files and their index, written by any number of processes that never speak to each other.

Which tensor stands in which file follows from the plan alone, so each process knows the whole list. A file appears whole or not at
all; one that is there already and equal is left alone, so a killed run goes on where it stopped. Whoever finds all files present
writes the index, and everybody would write the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .._errors import ArgumentError, FileError
from .._files import atomic_file, host, memory_of, sentence
from .._plan import Plan
from .pieces import Piece, Progress, check_space, header, write_pieces

INDEX = "model.safetensors.index.json"
_OURS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", re.IGNORECASE)
_STALE = 3600.0  # seconds: a temporary file of another machine that nobody has written to for so long is nobody's


class Shard(NamedTuple):
    """One file of a checkpoint."""

    name: str
    pieces: list[Piece]

    @property
    def nbytes(self) -> int:
        return sum(piece.nbytes for piece in self.pieces)


def bytes_of(size: int | str) -> int:
    """The bytes that a size means: ``5_000_000_000``, ``"5GB"`` (10⁹, as transformers counts) or ``"5GiB"`` (2³⁰).

    Raises:
        ArgumentError: no such size.
    """
    found = _SIZE.fullmatch(str(size).strip()) if isinstance(size, (int, str)) and not isinstance(size, bool) else None
    value = 0
    if found is not None:
        number, unit, binary = found.groups()
        value = int(float(number) * (1024 if binary else 1000) ** " KMGT".index(unit.upper() or " "))
    if value < 1:
        raise ArgumentError(f"max_shard_size is a number of bytes, or a text as '5GB' or '500MB', not {size!r}")
    return value


def part_of(part: tuple[int, int] | str | None) -> tuple[int, int]:
    """(i, n) of ``"i/n"``, 1 ≤ i ≤ n; of a torch.distributed process its rank, unless something is said.

    Raises:
        ArgumentError: no such part.
    """
    if part is None:
        import torch.distributed as dist

        together = dist.is_available() and dist.is_initialized()
        return (dist.get_rank() + 1, dist.get_world_size()) if together else (1, 1)
    found = re.fullmatch(r"(\d+)/(\d+)", part) if isinstance(part, str) else None
    i, n = (int(found[1]), int(found[2])) if found else part if isinstance(part, tuple) else (0, 0)
    if not 1 <= i <= n:
        raise ArgumentError(f"part is i/n with 1 ≤ i ≤ n, as '2/8', not {part!r}")
    return i, n


def shards_of(pieces: list[Piece], most: int) -> list[Shard]:
    """The files, in the order of the pieces: a file ends before it would hold more than ``most`` bytes; a larger tensor is alone."""
    groups: list[list[Piece]] = []
    room = -1
    for piece in pieces:
        if piece.nbytes > room or not groups:
            groups.append([])
            room = most
        groups[-1].append(piece)
        room -= piece.nbytes
    groups = [sorted(group, key=lambda piece: -piece.dtype.itemsize) for group in groups or [[]]]  # so that each is aligned
    if len(groups) == 1:
        return [Shard("model.safetensors", groups[0])]
    return [Shard(f"model-{i:05}-of-{len(groups):05}.safetensors", group) for i, group in enumerate(groups, 1)]


def write_files(
    folder: Path,
    shards: list[Shard],
    plan: Plan,
    notes: Mapping[str, str],
    part: tuple[int, int],
    *,
    overwrite: bool,
    progress: Progress | None,
) -> None:
    """Write this part's files that are not there yet, and the index if all files then are.

    Raises:
        FileError: the folder holds another checkpoint, or the disk refuses. Files that are whole stay as they are.
    """
    mine = [shard for j, shard in enumerate(shards) if j % part[1] == part[0] - 1]
    strange = _strange(folder, shards)
    if strange and not overwrite:
        raise FileError(
            f"{folder} holds another checkpoint ({strange[0].name}): write to another folder, or say overwrite=True (--force on the "
            f"command line) to replace it"
        )
    lacking = [shard for shard in mine if not _stands(folder, shard, notes, overwrite)]
    if overwrite and strange:
        with contextlib.suppress(FileNotFoundError):
            (folder / INDEX).unlink()  # it names files that are about to change
    _tidy(folder, shards)
    check_space(folder, sum(shard.nbytes for shard in lacking))
    total = sum(shard.nbytes for shard in mine)
    done = total - sum(shard.nbytes for shard in lacking)

    def further(written: int, _: int) -> None:
        assert progress is not None
        progress(done + written, total)

    for shard in lacking:
        try:
            with atomic_file(folder / shard.name, overwrite=True) as file:
                write_pieces(file, shard.pieces, plan, notes, further if progress is not None else None)
        except FileError as error:
            raise FileError(f"{error}; files that are whole stay, and the same command goes on after them") from error
        done += shard.nbytes
    if progress is not None and not lacking:
        progress(total, total)
    _finish(folder, shards, notes, strange)


def _finish(folder: Path, shards: list[Shard], notes: Mapping[str, str], strange: list[Path]) -> None:
    """The index, if all files are there; then what another checkpoint has left."""
    if not all(_is_equal(folder / shard.name, shard, notes) for shard in shards):
        return
    if len(shards) > 1:
        text = _index(shards, notes)
        path = folder / INDEX
        if not path.is_file() or path.read_bytes() != text:
            with atomic_file(path, overwrite=True) as file:
                file.write(text)
    for path in strange:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _index(shards: list[Shard], notes: Mapping[str, str]) -> bytes:
    weights = {piece.key: shard.name for shard in shards for piece in shard.pieces}
    numel = sum(piece.numel for shard in shards for piece in shard.pieces)
    about: dict[str, Any] = {"total_parameters": numel, "total_size": sum(shard.nbytes for shard in shards)}
    about |= {key: value for key, value in notes.items() if key != "format"}
    text = json.dumps({"metadata": about, "weight_map": weights}, indent=2, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


def _stands(folder: Path, shard: Shard, notes: Mapping[str, str], overwrite: bool) -> bool:
    """Whether a file is there and equal."""
    path = folder / shard.name
    if path.is_dir():
        raise FileError(f"{path} is a folder: write to another one")
    if not path.exists():
        return False
    if _is_equal(path, shard, notes):
        return True
    if overwrite:
        return False
    raise FileError(
        f"{path} exists and is {_described(path, notes)}: write to another folder, or say overwrite=True (--force on the command line)"
    )


def _is_equal(path: Path, shard: Shard, notes: Mapping[str, str]) -> bool:
    """Whether a file has this plan's header and size: then it is whole, for it came by a rename. Copied values are compared."""
    head = header(shard.pieces, notes)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != len(head) + shard.nbytes or file.read(len(head)) != head:
                return False
            place = len(head)
            for piece in shard.pieces:
                if piece.copied is not None:
                    file.seek(place)
                    with memory_of(piece.copied.to(piece.dtype)) as memory:
                        if file.read(len(memory)) != memory:
                            return False
                place += piece.nbytes
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FileError(f"{path} cannot be read: {sentence(error)}") from None
    return True


def _described(path: Path, notes: Mapping[str, str]) -> str:
    """In what a file differs, in words."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            said = file.metadata() or {}
    except (SafetensorError, OSError):
        return "no whole safetensors file"
    for key, word in (("seed", "seed"), ("dtype", "dtype"), ("stream", "stream version"), ("plan", "plan")):
        here, wanted = said.get(f"initium_{key}"), notes[f"initium_{key}"]
        if here is None:
            return "not written by initium"
        if here != wanted:
            return f"of {word} {here}, not {wanted}"
    return "cut into other files (max_shard_size), or holds other kept values"


def _strange(folder: Path, shards: list[Shard]) -> list[Path]:
    """Files of a checkpoint that is not this one."""
    names = {shard.name for shard in shards}
    found = [path for path in sorted(folder.iterdir()) if _OURS.fullmatch(path.name) and path.name not in names]
    if len(shards) == 1 and (folder / INDEX).exists():
        found.append(folder / INDEX)
    return found


def _tidy(folder: Path, shards: list[Shard]) -> None:
    """Remove what killed runs have left: temporary files of these names whose process is gone."""
    names = {shard.name for shard in shards} | {INDEX}
    for path in folder.glob(".*.tmp"):
        found = re.fullmatch(r"\.(.+)\.([^.]+)\.(\d+)\.tmp", path.name)
        if found is None or found[1] not in names:
            continue
        with contextlib.suppress(OSError):
            gone = _is_gone(int(found[3])) if found[2] == host() else time.time() - path.stat().st_mtime > _STALE
            if gone:
                path.unlink()


def _is_gone(pid: int) -> bool:
    if pid == os.getpid():
        return True  # we have not begun: it is of an earlier process that had our number
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
