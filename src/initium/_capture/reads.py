"""What a dispatch mode does not see: reads behind its back (``tolist``, ``numpy``, dlpack, pickling, …) and writes that pass it by.

While a constructor runs, the recorder stands before these methods and functions. (A function mode would see the reads as well, but it sees
every call of torch, and each costs: a fifth of a capture.)
"""

from __future__ import annotations

import contextlib
import copy
import functools
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode_stack

from .. import _apply
from .._init import dropin as _dropin
from .._laws import Constant
from .._programs import Program
from ..backends import Alike
from .mode import Recorder
from .sites import look
from .values import Cut, Fill

# these ask for the address to tell tensors apart, not to read there
_IDENTITY = ("torch", "transformers", "accelerate", "safetensors", "timm", "torchvision", "peft", "huggingface_hub")
_READERS = (
    "_typed_storage",
    "_tobytes",
    "_to_ndarray",
)  # and these functions of theirs do read: pickling, and a file of safetensors
_ESCAPES = ("numpy", "__array__", "__dlpack__", "to_dlpack")  # what they give shares the memory, so it can be written through
_DEEPCOPY: Callable[..., Tensor] = Tensor.__deepcopy__


def _read(recorder: Recorder, name: str, tensor: Tensor) -> None:
    """Draw a tensor before Python code reads its memory behind the dispatcher's back."""
    record = recorder.record(tensor)
    if record is None or tensor.is_meta:
        return
    with _disable_current_modes():
        recorder.refresh(tensor, name)
        if name in _ESCAPES and record.state is not None and tensor.numel() < 1 << 24:
            record.shown = tensor.detach().clone()


def _reading(owner: Any, name: str) -> tuple[Any, str, Callable[..., Any]]:
    """A method of Tensor, or a function, that reads, with the draw before it."""
    method: Callable[..., Any] = getattr(owner, name)
    tells_apart, moves = name in ("data_ptr", "untyped_storage"), name == "share_memory_"

    def read_first(recorder: Recorder, tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not (tells_apart and _asks_who(sys._getframe(2))):
            _read(recorder, name, tensor)
        if moves:  # copies the memory to another place, below the dispatcher
            with _disable_current_modes():
                return method(tensor, *args, **kwargs)
        return method(tensor, *args, **kwargs)

    return owner, name, read_first


def _deepcopy(recorder: Recorder, tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    """A deep copy by ``clone``, which the recorder sees."""
    if id(tensor) in memo:
        return memo[id(tensor)]  # type: ignore[no-any-return]
    if recorder.record(tensor) is None or not tensor.is_leaf or type(tensor) is not Tensor:
        return _DEEPCOPY(tensor, memo)
    made = tensor.detach().clone()
    memo[id(tensor)] = made
    if tensor.requires_grad:
        made.requires_grad_()
    made.__dict__.update(copy.deepcopy(tensor.__dict__, memo))
    return made


def _asks_who(caller: FrameType) -> bool:
    """Whether a library asks for an address to tell tensors apart."""
    library = caller.f_globals.get("__name__", "").partition(".")[0] in _IDENTITY
    return library and caller.f_code.co_name not in _READERS


@contextlib.contextmanager
def standing_before(recorder: Recorder) -> Iterator[None]:
    """The recorder is asked before the methods and functions of ``_SEAMS``, in this thread alone: another one's calls go on as ever."""
    seams = [seam for seam in _SEAMS if hasattr(seam[0], seam[1])]  # not every torch has each
    before = [(owner, name, vars(owner).get(name)) for owner, name, _ in seams]
    for owner, name, recorded in seams:
        setattr(owner, name, _asked_first(recorder, recorded, getattr(owner, name)))
    try:
        yield
    finally:
        for owner, name, original in before:
            if original is None:  # inherited
                delattr(owner, name)
            else:
                setattr(owner, name, original)


def _asked_first(recorder: Recorder, recorded: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    here = threading.get_ident()

    @functools.wraps(original, updated=())
    def either(*args: Any, **kwargs: Any) -> Any:
        # the recorder's own calls come while torch has taken it from the stack
        if threading.get_ident() == here and any(mode is recorder for mode in _get_current_dispatch_mode_stack()):
            return recorded(recorder, *args, **kwargs)
        return original(*args, **kwargs)

    return either


def _trunc_normal(
    recorder: Recorder, tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any = None
) -> Tensor:
    if tensor.numel():
        site, call = look()
        recorder.draw(tensor, Cut(float(mean), float(std), float(a), float(b)), site, call)
    return tensor


def _run(recorder: Recorder, tensor: Tensor, program: Program, bits: int) -> None:
    site, call = look()
    if isinstance(program, Constant):
        recorder.write(tensor, Fill(program.value), site)
    else:
        recorder.draw(tensor, program, site, call)


class _RecordedBatch:
    """What a constructor writes by a plan of ours is recorded as well."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def add(self, out: Tensor, program: Program, key_of: Any = None, region: Any = None) -> None:
        _run(self._recorder, out, program, 0)

    def extend(self, groups: Iterable[Alike], seed: int) -> None:
        for group in groups:
            for out in group.outs:
                _run(self._recorder, out, group.law, 0)

    def run(self) -> None:
        """Nothing is left to do."""


_READS = (
    "tolist",
    "numpy",
    "__array__",
    "__dlpack__",
    "share_memory_",
    "__reduce_ex__",
    "__repr__",
    "data_ptr",
    "storage",
    "untyped_storage",
)
_SEAMS: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    *(_reading(Tensor, name) for name in _READS),
    *(_reading(module, "to_dlpack") for module in (torch, torch.utils.dlpack)),
    (Tensor, "__deepcopy__", _deepcopy),
    (_apply, "Batch", _RecordedBatch),
    (torch.nn.init, "_no_grad_trunc_normal_", _trunc_normal),
    (_dropin, "_run", _run),
)
