"""Files: written whole or not at all, and every failure of the disk as a sentence."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from ._errors import FileError, nearest

_SENTENCES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOENT: "no such file or folder",
}


def sentence(error: OSError) -> str:
    """What an OSError says, in plain words."""
    return _SENTENCES.get(error.errno or 0, error.strerror or str(error))


def read_text(path: Path, what: str) -> str:
    """The text of a file.

    Raises:
        FileError: it is not there (with the nearest name), cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise FileError(f"{path}: there is no such file.{nearest(path.name, beside)}") from None
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not {what}: byte {error.start} is not UTF-8 text") from None
    except OSError as error:
        raise FileError(f"{path} cannot be read: {sentence(error)}") from None
    except ValueError:  # a zero byte in the path
        raise FileError(f"{str(path)!r} is no path of a file") from None


@contextlib.contextmanager
def atomic_file(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """A file to write to that appears under ``path`` only when the block ends well.

    The bytes go to a hidden file beside it, named after this process, which is flushed to the disk and renamed; on any error it is
    removed, and whatever stood at ``path`` before is untouched.

    Args:
        path: where the file is to appear; its folder must exist.
        overwrite: replace what is there.

    Raises:
        FileError: the target exists, or the disk refuses; says which and what to do.
    """
    check_target(path, overwrite=overwrite)
    hidden = path.with_name(f".{path.name[:200]}.{host()}.{os.getpid()}.tmp")
    try:
        with hidden.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        check_target(path, overwrite=overwrite)  # somebody else may have been faster
        hidden.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {sentence(error)}; nothing was left behind") from error
    finally:
        with contextlib.suppress(OSError):
            hidden.unlink()


def host() -> str:
    """This machine's name, as it stands in the names of temporary files."""
    return "".join(letter for letter in socket.gethostname() if letter.isalnum() or letter == "-")[:40] or "here"


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a target that exists, is a folder, or has no folder to stand in."""
    if path.is_dir():
        raise FileError(f"{path} is a folder: say the file's name")
    if not path.parent.is_dir():
        raise FileError(f"{path} cannot be written: there is no folder {path.parent}")
    if not overwrite and path.exists():
        raise FileError(f"{path} exists: say overwrite=True (--force on the command line) to replace it")


def _sync_folder(folder: Path) -> None:
    """Make the rename last through a power cut, where folders can be opened (not on Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def memory_of(tensor: Tensor) -> Iterator[memoryview]:
    """The bytes of a tensor in row-major order, without numpy; a view of its own memory where that is contiguous and on the CPU."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    flat = flat.resolve_conj().resolve_neg().view(torch.uint8) if flat.numel() else flat
    size = flat.numel() * flat.element_size()
    array = (ctypes.c_ubyte * size).from_address(flat.data_ptr()) if size else (ctypes.c_ubyte * 0)()
    yield memoryview(array).cast("B")
    del flat  # held until here: the view does not keep it alive
