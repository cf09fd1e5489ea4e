"""Reads that a dispatch mode does not see (``tolist``, ``numpy``, dlpack, pickling, deep copies of a storage) a function mode does."""

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
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .. import _apply
from .._init import dropin as _dropin
from .._laws import Constant
from .._programs import Program
from ..backends import Alike
from .mode import Recorder
from .sites import look
from .values import Cut, Fill

_READS = {
    *(Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__dlpack__, Tensor.share_memory_, Tensor.__reduce_ex__),
    *(Tensor.__repr__, Tensor.data_ptr, Tensor.storage, Tensor.untyped_storage),
}
_SHARE: Any = Tensor.share_memory_
_ESCAPES = {Tensor.numpy, Tensor.__array__, Tensor.__dlpack__}  # what they give shares the memory, so it can be written through
# these ask for the address to tell tensors apart, not to read there
_IDENTITY = ("torch", "transformers", "accelerate", "safetensors", "timm", "torchvision", "peft", "huggingface_hub")


class Reads(TorchFunctionMode):
    """Draws a tensor before Python code reads it behind the dispatcher's back."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _READS:
            self._read(func, args[0])
            if func is _SHARE:  # copies the memory to another place, below the dispatcher
                with torch.utils._python_dispatch._disable_current_modes():
                    return func(*args, **(kwargs or {}))
        elif func is Tensor.__deepcopy__ and type(args[0]) is not nn.Parameter:
            return self._copied(args[0], args[1])
        return func(*args, **(kwargs or {}))

    def _read(self, func: Any, tensor: Tensor) -> None:
        if func in (Tensor.data_ptr, Tensor.untyped_storage) and _asks_who(sys._getframe(2)):
            return
        recorder = self._recorder
        record = recorder.record(tensor)
        if record is None or tensor.is_meta:
            return
        with torch.utils._python_dispatch._disable_current_modes():
            recorder.refresh(tensor, func.__name__)
            if func in _ESCAPES and record.state is not None and tensor.numel() < 1 << 24:
                record.shown = tensor.detach().clone()

    def _copied(self, tensor: Tensor, memo: dict[int, Any]) -> Tensor:
        """A deep copy by ``clone``, which the recorder sees."""
        if id(tensor) in memo:
            return memo[id(tensor)]  # type: ignore[no-any-return]
        if self._recorder.record(tensor) is None or not tensor.is_leaf or type(tensor) is not Tensor:
            return Tensor.__deepcopy__(tensor, memo)  # type: ignore[no-any-return, no-untyped-call]
        made = tensor.detach().clone()
        memo[id(tensor)] = made
        if tensor.requires_grad:
            made.requires_grad_()
        made.__dict__.update(copy.deepcopy(tensor.__dict__, memo))
        return made


def _asks_who(caller: FrameType) -> bool:
    """Whether a library asks for an address, to tell tensors apart; pickling, which takes the storage, does read it."""
    library = caller.f_globals.get("__name__", "").partition(".")[0] in _IDENTITY
    return library and caller.f_code.co_name != "_typed_storage"


@contextlib.contextmanager
def init_functions_recorded(recorder: Recorder) -> Iterator[None]:
    """torch's ``trunc_normal_``, which looks at what it drew, and our own drop-ins, which write past the dispatcher, are recorded.

    In this thread alone: another one's calls go where they always go.
    """
    here, before = threading.get_ident(), [getattr(module, name, None) for module, name, _ in _SEAMS]
    for (module, name, recorded), original in zip(_SEAMS, before, strict=True):
        if original is not None:
            setattr(module, name, _in_thread(here, functools.partial(recorded, recorder), original))
    try:
        yield
    finally:
        for (module, name, _), original in zip(_SEAMS, before, strict=True):
            if original is not None:
                setattr(module, name, original)


def _in_thread(thread: int, recorded: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def either(*args: Any, **kwargs: Any) -> Any:
        return (recorded if threading.get_ident() == thread else original)(*args, **kwargs)

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


_SEAMS: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (_apply, "Batch", _RecordedBatch),
    (torch.nn.init, "_no_grad_trunc_normal_", _trunc_normal),
    (_dropin, "_run", _run),
)
