"""Fill one tensor that has no name, keyed from torch's generator: behind ``initium.init`` and ``Normal(std=.02)(3, 4)``."""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Hashable
from typing import ParamSpec

import torch
from torch import Tensor
from torch._C import _functorch
from torch.nn.parameter import is_lazy
from torch.overrides import handle_torch_function, has_torch_function_variadic

from .. import _laws as laws
from .._errors import ArgumentError, ArgumentTypeError, WriteError
from .._execute import Batch
from .._fans import DENSE, Layout
from .._programs import Program, is_random
from .._sharded.placed import agreed_bits, located, why_not_located
from .._stream import DROPIN, VALUES, derive_key
from .._tensors import is_drawless, is_dtensor, is_ordinary, is_plain, why_not_drawable, why_not_writable, why_placeholder
from .._uncompiled import uncompiled
from ..backends import fill_alone
from ..initializers import Initializer

P = ParamSpec("P")


class DropinError(ArgumentError, RuntimeError):
    """A bad argument of a drop-in: torch raises ValueError for shapes and names, RuntimeError for numbers out of range."""


class DtypeError(ArgumentTypeError, NotImplementedError):
    """A dtype that cannot hold random values: torch raises NotImplementedError."""


class NoTensorError(ArgumentTypeError, AttributeError):
    """Something that is no tensor, such as the bias of a layer without one: torch raises AttributeError."""


class LazyError(WriteError, ValueError):
    """A parameter of a lazy module that has no shape yet: torch raises ValueError."""


def dropin(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Make an in-place function a drop-in: modes and subclasses receive it whole, and its errors are torch's as well."""

    @functools.wraps(function)
    def in_place(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        tensor = args[0] if args else kwargs.get("tensor")
        if not isinstance(tensor, Tensor):
            if args or "tensor" in kwargs:
                hint = ": the layer has none (bias=False?)" if tensor is None else ": write torch.empty(…) or a Parameter"
                raise NoTensorError(f"init.{function.__name__} expects a tensor, got {type(tensor).__name__}{hint}")
            return function(*args, **kwargs)  # Python's own sentence about the missing argument
        if is_lazy(tensor):
            raise LazyError(f"init.{function.__name__}: {why_not_writable(tensor)}")
        if has_torch_function_variadic(tensor):
            bound = inspect.signature(function).bind(*args, **kwargs)
            bound.apply_defaults()  # by keyword, as torch passes them on
            return handle_torch_function(in_place, (tensor,), **bound.arguments)  # type: ignore[call-arg]
        if tensor.requires_grad:
            _warn_if_computed(tensor, function.__name__)
        try:
            return function(*args, **kwargs)
        except ArgumentError as error:
            _refuse_placeholder(tensor, function.__name__)  # which has no dimensions to speak of
            raise DropinError(str(error)) from None

    in_place.__module__ = "initium.init"  # where users and modes know it, whichever file it stands in
    return uncompiled(in_place)


def real(value: object, what: str) -> float:
    """A number as torch's argument parser takes it: Python's, numpy's, or a tensor of one element."""
    several = isinstance(value, Tensor) and value.numel() != 1
    if several or isinstance(value, (str, bytes, complex)) or not hasattr(value, "__float__"):
        raise ArgumentTypeError(f"{what} must be a number, not {type(value).__name__}")
    return float(value) + 0.0  # -0.0 becomes 0.0, which it equals: what is remembered goes by equality


def fill_by(
    tensor: Tensor, kind: Callable[..., Initializer], *arguments: Hashable, generator: torch.Generator | None = None
) -> Tensor:
    """Fill by ``kind(*arguments)``. What that means for a shape is remembered: for a small tensor, working it out was most of the time."""
    if is_ordinary(tensor) and not _watched(tensor) and _SIMPLE.issuperset(map(type, arguments)):
        program = _remembered(tensor.shape, kind, *arguments)
        if type(program) in laws.LAWS:
            bits = generator_bits(tensor.device, generator) if is_random(program) else 0
            fill_alone(tensor, program, bits, DROPIN)  # type: ignore[arg-type]
            return tensor
    return fill_by_generator(tensor, kind(*arguments), generator=generator)


_SIMPLE = frozenset(
    {int, float, str, tuple, type(None)}
)  # what is equal means the same; a function or a tensor may have changed


@functools.lru_cache(maxsize=1024, typed=True)
def _remembered(shape: torch.Size, kind: Callable[..., Initializer], *arguments: Hashable) -> Program:
    return kind(*arguments).program(tuple(shape), DENSE)


def _watched(tensor: Tensor) -> bool:
    """Whether somebody watches dispatch (a mode, a subclass, a transform): then the values come by an operator that is seen."""
    return (
        type(tensor).__torch_dispatch__ is not Tensor.__torch_dispatch__
        or torch._C._len_torch_dispatch_stack() > 0
        or _functorch.is_functorch_wrapped_tensor(tensor)
    )


def fill_by_generator(
    tensor: Tensor, initializer: Initializer, layout: Layout = DENSE, generator: torch.Generator | None = None
) -> Tensor:
    """Fill ``tensor`` in place by ``initializer`` and return it; meta, fake and empty ones are left alone, and draw nothing."""
    if is_drawless(tensor):
        _refuse_placeholder(tensor, initializer.name)
        return tensor
    program = initializer.program(tuple(tensor.shape), layout)
    random = is_random(program)
    with torch.no_grad():
        if reason := _why_not(tensor, program):
            raise WriteError(f"{initializer.name}: the tensor of shape {tuple(tensor.shape)} cannot be written: {reason}")
        if random and (unfit := why_not_drawable(tensor.dtype)):
            raise DtypeError(f"{initializer.name}: {unfit}")
        wrapped = random and _functorch.is_functorch_wrapped_tensor(tensor)
        if not (wrapped and _filled_under_vmap(tensor, initializer, layout, generator)):
            _run(tensor, program, agreed_bits(tensor, generator_bits(tensor.device, generator)) if random else 0)
    return tensor


def _refuse_placeholder(tensor: Tensor, what: str) -> None:
    if reason := why_placeholder(tensor):
        raise WriteError(f"{what}: the tensor cannot be written: {reason}")


def generator_bits(device: torch.device, generator: torch.Generator | None = None) -> int:
    """64 bits from the generator in force for a device; what advances it is one draw, whatever the tensor's size."""
    if generator is not None and not isinstance(generator, torch.Generator):
        raise ArgumentTypeError(
            f"generator expects a torch.Generator, got {type(generator).__name__}: write torch.Generator().manual_seed(0)"
        )
    where = _CPU if device.type == "meta" else device
    if generator is not None and generator.device.type != where.type:
        raise WriteError(
            f"the generator is on {generator.device}, the tensor on {where}: write torch.Generator({where.type!r}), or none"
        )
    return int(_box(where).random_(-(2**63), None, generator=generator)) % 2**64


def _box(where: torch.device) -> Tensor:
    """A tensor of one number to draw into: one a thread on the CPU, where making one takes as long as drawing."""
    transformed = torch._C._len_torch_dispatch_stack() or _functorch.peek_interpreter_stack() is not None
    if where != _CPU or transformed:  # a mode or a transform wants to see where its tensors come from
        return torch.empty((), dtype=torch.int64, device=where)
    try:
        return _BOXES.box  # type: ignore[no-any-return]
    except AttributeError:
        with torch.inference_mode(False):  # which it outlives
            _BOXES.box = torch.empty((), dtype=torch.int64, device=where)
        return _box(where)


_CPU = torch.device("cpu")
_BOXES = threading.local()


def _run(tensor: Tensor, program: Program, bits: int) -> None:
    local, region = located(tensor)  # of a DTensor this process's part, else the tensor itself
    direct = is_plain(local) and not _watched(local) and not local.is_conj() and not local.is_neg()
    target = local if direct else torch.empty(tuple(local.shape), dtype=local.dtype, device=local.device)
    batch = Batch()
    batch.add(target, program, lambda tag: derive_key(bits, "", DROPIN if tag == VALUES else f"{DROPIN}/{tag}"), region)
    batch.run()
    if not direct:
        (local if is_dtensor(tensor) else tensor).copy_(target)


def _why_not(tensor: Tensor, program: Program) -> str | None:
    reason = why_not_writable(tensor) or why_not_located(tensor)
    if reason and isinstance(program, laws.Constant) and not is_dtensor(tensor) and tensor.layout is torch.strided:
        # elements that share memory may share a constant, as in torch
        reason = why_not_writable(tensor[(slice(0, 1),) * tensor.dim()])
    return reason


def _warn_if_computed(tensor: Tensor, name: str) -> None:
    """A parametrised module's weight is computed anew in each forward pass: writing to what it gave last is lost."""
    source = tensor._base if tensor._is_view() else tensor  # a view of a parameter, though, writes to the parameter
    if source is not None and source.grad_fn is not None:
        warnings.warn(
            f"init.{name} writes to a tensor that was computed from others (grad_fn={source.grad_fn.name()}), so the model "
            f"does not change: if it is a parametrised weight, assign to it (module.weight = values), initialise what it comes "
            f"from (module.parametrizations.weight.original), or use initium.initialize, which does so",
            UserWarning,
            stacklevel=3,
        )


def _filled_under_vmap(tensor: Tensor, initializer: Initializer, layout: Layout, generator: torch.Generator | None) -> bool:
    """Inside vmap, draw as its ``randomness`` says, one level down; False where the innermost transform is another one."""
    from torch._functorch.pyfunctorch import VmapInterpreter, retrieve_current_functorch_interpreter

    vmap = retrieve_current_functorch_interpreter()
    if not isinstance(vmap, VmapInterpreter):
        return False
    batched = _functorch.is_batchedtensor(tensor) and _functorch.maybe_get_level(tensor) == vmap.level()
    randomness = vmap.randomness()
    if randomness == "error":
        raise WriteError(f"{initializer.name}: inside vmap random values need vmap(…, randomness='different') or 'same'")
    if randomness == "different" and not batched:
        raise WriteError(f"{initializer.name}: this tensor is the same for all examples of vmap: write randomness='same'")
    inner, axis = (_functorch.get_unwrapped(tensor), _functorch.maybe_get_bdim(tensor)) if batched else (tensor, 0)
    with vmap.lower():
        if not batched:
            fill_by_generator(inner, initializer, layout, generator)
        elif randomness == "different":
            for example in inner.unbind(axis):
                fill_by_generator(example, initializer, layout, generator)
        else:
            first = fill_by_generator(torch.empty_like(inner.select(axis, 0)), initializer, layout, generator)
            inner.copy_(first.unsqueeze(axis))
    return True
