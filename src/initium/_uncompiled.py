"""What torch.compile steps over: functions that fill memory by kernels of their own, which a traced graph cannot hold, and constructors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from torch._C._dynamo import eval_frame as _frames
from torch.utils._python_dispatch import TorchDispatchMode

P = ParamSpec("P")
T = TypeVar("T")

_WHY = "initium fills tensors by kernels of its own, so the graph breaks here: with fullgraph=True, initialise outside the function"


def uncompiled(function: Callable[P, T]) -> Callable[P, T]:
    """The function, called as it is within a compiled one: one break of the graph, in place of fifty fragments of our code.

    It is ``torch.compiler.disable``, which would import the compiler, and that takes longer than all else here.
    """
    marked: Any = function
    marked._torchdynamo_disable, marked._torchdynamo_disable_msg = True, _WHY
    strategy: Any = getattr(_frames, "_FrameExecStrategy", None)
    if strategy is not None:  # torch 2.7 and later: neither its frame nor those below it
        skip = _frames._FrameAction.SKIP
        _frames.set_code_exec_strategy(marked.__code__, strategy(skip, skip))
    return function


class UncompiledMode(TorchDispatchMode):
    """Base of the modes that a constructor runs under.

    It is not compiled, so torch need not import its compiler (seconds) to keep it out of them, nor ask it at each operator.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
