"""Where tensors are read from, one at a time: a model, a safetensors file, a folder of such files. Only reads.

A file is mapped, not loaded: a tensor of any size is looked at piece by piece, and memory stays small.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .._errors import ArgumentTypeError, FileError, counted, nearest
from .._files import read_text, sentence
from .._inventory import Slot, inventory
from .._text.forms import dtype_name

CHUNK = 1 << 22  # elements looked at together


class Found(NamedTuple):
    """One tensor: its state_dict key, what it is on the model if it comes from one, and where in its file."""

    key: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    slot: Slot | None = None
    file: Path | None = None

    @property
    def on_meta(self) -> bool:
        return self.slot is not None and self.slot.tensor.is_meta

    @property
    def computed(self) -> bool:
        """A weight that a parametrization computes: the forward pass has it, the state_dict does not."""
        return self.slot is not None and self.slot.computed is not None

    @property
    def stored(self) -> bool:
        """Whether a state_dict has it."""
        slot = self.slot
        return slot is None or not (self.computed or (slot.is_buffer and slot.local in slot.module._non_persistent_buffers_set))

    @property
    def text(self) -> str:
        return f"{'×'.join(map(str, self.shape)) or '()'} {dtype_name(self.dtype)}"


class Tensors:
    """The tensors of a model or of safetensors files, by state_dict key, in their order.

    Args:
        label: what messages call it.
        found: what there is.
        files: the open files, by path.
    """

    def __init__(self, label: str, found: list[Found], files: Mapping[Path, Any] | None = None) -> None:
        self.label, self._found, self._files = label, {one.key: one for one in found}, files or {}
        self._named = {one.slot.name: one for one in found if one.slot is not None}

    def __iter__(self) -> Iterator[Found]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: str) -> Found | None:
        return self._found.get(key)

    def named(self, name: str) -> Found | None:
        """The tensor of a model by its canonical name."""
        return self._named.get(name)

    @property
    def of_model(self) -> bool:
        return bool(self._named)

    def read(self, key: str) -> Tensor:
        """The whole tensor on the CPU, row-major; a view of the file or of the model where that is possible."""
        found = self._found[key]
        if found.slot is None:
            assert found.file is not None
            return self._files[found.file].get_tensor(key)  # type: ignore[no-any-return]
        tensor = found.slot.tensor.detach()
        if hasattr(tensor, "full_tensor"):
            tensor = tensor.full_tensor()
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        return tensor.resolve_conj().resolve_neg().cpu()


def chunks(tensor: Tensor, size: int = CHUNK) -> Iterator[tuple[int, Tensor]]:
    """(first flat index, 1-D piece) of a tensor, row-major. A tensor that does not lie that way is copied once."""
    flat = tensor.reshape(-1)
    for start in range(0, flat.numel(), size):
        yield start, flat[start : start + size]


def tensors_of(source: nn.Module | str | Path) -> Tensors:
    """The tensors of a model, of a safetensors file, or of a folder with safetensors files.

    Raises:
        FileError: no such file, or not safetensors; says what and where.
    """
    if isinstance(source, nn.Module):
        return tensors_of_model(source)
    if not isinstance(source, (str, Path)):
        raise ArgumentTypeError(f"a model, a safetensors file or a folder is expected, not {type(source).__name__}")
    path = Path(source)
    return _opened(str(source), _files_in(path) if path.is_dir() else [path])


def tensors_of_model(model: nn.Module, label: str = "") -> Tensors:
    """A model's tensors under their state_dict keys; computed weights under the name that the forward pass uses."""
    return Tensors(label or type(model).__name__, [Found(s.key, s.shape, s.dtype, s) for s in inventory(model).slots])


def _files_in(folder: Path) -> list[Path]:
    indices = sorted(folder.glob("*.safetensors.index.json"))
    if len(indices) > 1:
        raise FileError(f"{folder} has {len(indices)} checkpoints ({', '.join(file.name for file in indices)}): name one file")
    if indices:
        return _indexed(folder, indices[0])
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = sorted([*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")])
        hint = f"; {pickles[0].name} is a pickle, which can run code when it is read: save it as safetensors" if pickles else ""
        if (folder / ".metadata").exists():
            hint = "; it is of torch.distributed.checkpoint: load it into a model, and compare that"
        raise FileError(f"{folder} has no safetensors file{hint}")
    return files


def _indexed(folder: Path, index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(read_text(index, "an index"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{index} is not an index: a mapping with weight_map, from names to files, is expected") from None
    lacking = [name for name in names if not (folder / str(name)).is_file()]
    if lacking:
        raise FileError(
            f"{index} names {counted(len(lacking), 'file that is', 'files that are')} not there: {', '.join(map(str, lacking[:3]))}"
        )
    return [folder / str(name) for name in names]


def _opened(label: str, paths: list[Path]) -> Tensors:
    found: dict[str, Found] = {}
    files = {}
    for path in paths:
        file = files[path] = _open(path)
        for key in file.keys():  # noqa: SIM118  (not a mapping)
            if key in found:
                raise FileError(f"{key} stands in two files: {found[key].file} and {path}")
            tensor = file.get_slice(key)
            found[key] = Found(
                key, tuple(tensor.get_shape()), _DTYPES.get(tensor.get_dtype()) or file.get_tensor(key).dtype, None, path
            )
    return Tensors(label, list(found.values()), files)


def _open(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise FileError(f"{path}: there is no such file.{nearest(path.name, beside)}")
    if path.suffix in (".bin", ".pt", ".pth", ".ckpt"):
        raise FileError(f"{path} is a pickle, which can run code when it is read: save it as safetensors")
    try:
        return safe_open(str(path), framework="pt")
    except SafetensorError as error:
        raise FileError(f"{path} is not a whole safetensors file: {error}") from None
    except OSError as error:
        raise FileError(f"{path} cannot be read: {sentence(error)}") from None


_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
