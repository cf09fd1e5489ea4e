"""The operators with a meaning of their own under the recorder: blanks, constants, draws, copies, and reads of one value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import _laws as laws
from .._programs import Program
from .blank import LARGE, AddressSpace, blank, from_address_space
from .mode import HANDLERS, Handler, Recorder
from .operators import kind_of, on_meta, tensors_in
from .records import Event, covers, storage_of
from .sites import look
from .values import Done, Fill, Known, Nothing, Read, Result, State, View, reading

aten = torch.ops.aten
NOTHING = Nothing()
SMALL = 1 << 16  # bytes up to which a constant is written at once, as it is likely to be read


def _handles(*names: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        for name in names:
            packet, _, overload = name.partition(".")
            found = getattr(getattr(aten, packet, None), overload or "default", None)
            if found is not None:
                HANDLERS[id(found)] = handler
        return handler

    return register


def _skip_fill(kwargs: dict[str, Any]) -> bool:
    return bool(kwargs.get("pin_memory")) or kwargs.get("layout") not in (None, torch.strided)


@_handles("empty.memory_format", "new_empty", "empty_like", "empty_strided", "new_empty_strided")
def _empty(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    if _skip_fill(kwargs):
        return func(*args, **kwargs)  # type: ignore[no-any-return]
    if func is aten.empty.memory_format and kwargs.get("device") is not None and kwargs.get("memory_format") is None:
        tensor = _row_major(args[0], kwargs, mode.space)
    else:
        tensor = _created(func, args, kwargs, args[0] if isinstance(args[0], Tensor) else None)
    if tensor.numel():
        record = mode._recorded(tensor)
        record.state, record.fresh, record.site = State(None, View.of(tensor), NOTHING), False, look()[0]
    return tensor


def _row_major(size: list[int], kwargs: dict[str, Any], space: AddressSpace) -> Tensor:
    """What ``torch.empty`` gives, where most parameters begin: by itself, which takes a third of its operator's time."""
    dtype = kwargs.get("dtype") or torch.get_default_dtype()
    if kwargs["device"].type != "cpu" or math.prod(size) * dtype.itemsize < LARGE:
        return torch.empty(size, **kwargs)
    return from_address_space(size, None, dtype, space)


def _created(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], like: Tensor | None) -> Tensor:
    """An unfilled tensor of the shape that an operator would give, from address space where it is large."""
    size = (
        tuple(args[0])
        if like is None
        else tuple(args[1])
        if len(args) > 1 and isinstance(args[1], (list, tuple))
        else tuple(like.shape)
    )
    dtype = kwargs.get("dtype") or (like.dtype if like is not None else torch.get_default_dtype())
    device = kwargs.get("device") or (like.device if like is not None else torch.device("cpu"))
    small = device.type != "cpu" or math.prod(size) * dtype.itemsize < LARGE
    name = func.overloadpacket.__name__
    if small and name.startswith(("empty", "new_empty")):
        return func(*args, **kwargs)  # type: ignore[no-any-return]
    stride = None
    if "strided" in name:
        stride = tuple(args[1] if like is None else args[2])
    elif like is not None and name.endswith("_like") and kwargs.get("memory_format") in (None, torch.preserve_format):
        stride = tuple(torch.empty_like(on_meta(like)).stride())
    elif kwargs.get("memory_format") not in (None, torch.preserve_format, torch.contiguous_format):
        stride = tuple(torch.empty(size, device="meta", memory_format=kwargs["memory_format"]).stride())
    return blank(size, stride, dtype, device)


@_handles("zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
def _constant(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    name = func.overloadpacket.__name__
    like = args[0] if isinstance(args[0], Tensor) else None
    value = 0 if "zeros" in name else 1 if "ones" in name else args[2 if name == "new_full" else 1]
    site = look()[0]
    small = _skip_fill(kwargs) or isinstance(value, Tensor)
    if not small:
        size = tuple(args[0]) if like is None else tuple(args[1]) if "new" in name else tuple(like.shape)
        small = math.prod(size) * 8 < SMALL
    if small:
        tensor = (_BY_NAME.get(func, func) if kwargs.get("device") is not None else func)(*args, **kwargs)
    else:
        if "full" in name and kwargs.get("dtype") is None and like is None:
            kwargs = {**kwargs, "dtype": torch.full((), value).dtype}
        tensor = _created(func, args, kwargs, like)
    if tensor.numel() and tensor.layout is torch.strided and not isinstance(value, Tensor):
        record = mode._recorded(tensor)
        record.state, record.fresh, record.site = State(None, View.of(tensor), Fill(value)), small, site
    return tensor  # type: ignore[no-any-return]


# torch's own functions, faster than their operators as well; where no device is said they would take the default one
_BY_NAME: dict[Any, Callable[..., Tensor]] = {aten.zeros.default: torch.zeros, aten.ones.default: torch.ones}


@_handles("lift_fresh")
def _lifted(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """What ``torch.tensor``, ``as_tensor`` and ``from_numpy`` end with: the values are there, and this line made them."""
    tensor: Tensor = func(*args, **kwargs)
    if tensor.layout is torch.strided and tensor.numel():
        mode.known(tensor, look()[0])
    return tensor


@_handles("rand", "randn", "rand_like", "randn_like", "normal.float_float")
def _random(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    name = func.overloadpacket.__name__
    like = args[0] if isinstance(args[0], Tensor) else None
    law: Program = laws.Uniform(0.0, 1.0) if "randn" not in name and name != "normal" else laws.Normal()
    if name == "normal":
        law, args = laws.Normal(float(args[0]), float(args[1])), args[2:]
    tensor = _created(func, args, {k: v for k, v in kwargs.items() if k != "generator"}, like)
    site, call = look()
    if tensor.numel():
        mode.draw(tensor, law, site, call)
    return tensor


@_handles("uniform_", "normal_")
def _draw_(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    tensor = args[0]
    if not tensor.numel() or not (tensor.is_floating_point() or tensor.is_complex()):
        return func(*args, **kwargs)  # type: ignore[no-any-return]
    first = args[1] if len(args) > 1 else 0.0  # the dispatcher leaves out what is as by default
    second = args[2] if len(args) > 2 else 1.0
    site, call = look()
    kind: Callable[[float, float], laws.Uniform | laws.Normal] = laws.Uniform if func is aten.uniform_.default else laws.Normal
    mode.draw(tensor, mode.law(kind, first, second), site, call)
    return tensor  # type: ignore[no-any-return]


@_handles("exponential_", "log_normal_", "cauchy_", "geometric_", "bernoulli_.float")
def _nonlinear_(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """A draw whose law is a function of a uniform or normal one: recorded as that function of that draw."""
    tensor = args[0]
    if not tensor.numel() or not tensor.is_floating_point():
        return mode.run_anew(func, args, kwargs)  # type: ignore[no-any-return]
    name = func.overloadpacket.__name__
    said = [*args[1:], *(kwargs[one] for one in ("lambd", "mean", "std", "median", "sigma", "p") if one in kwargs)]
    with mode:
        tensor.copy_(
            _FUNCTIONS[name](torch.rand_like if name != "log_normal_" else torch.randn_like, tensor, *map(float, said))
        )
    return tensor  # type: ignore[no-any-return]


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "exponential_": lambda rand, like, rate=1.0: -torch.log1p(-rand(like)) / rate,
    "log_normal_": lambda randn, like, mean=1.0, std=2.0: torch.exp(randn(like) * std + mean),
    "cauchy_": lambda rand, like, median=0.0, sigma=1.0: torch.tan((rand(like) - 0.5) * math.pi) * sigma + median,
    "geometric_": lambda rand, like, p: torch.clamp(torch.ceil(torch.log1p(-rand(like)) / math.log1p(-p)), min=1.0),
    "bernoulli_": lambda rand, like, p=0.5: rand(like) < p,
}


@_handles("normal.Tensor_Tensor", "normal.Tensor_float", "normal.float_Tensor")
def _normal(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Normal draws whose mean or std is a tensor: arithmetic on a standard one."""
    mean, std = args[0], args[1] if len(args) > 1 else kwargs.get("std", 1.0)
    like = mean if isinstance(mean, Tensor) else std
    if isinstance(mean, Tensor) and isinstance(std, Tensor):
        like = torch.empty(torch.broadcast_shapes(mean.shape, std.shape), dtype=mean.dtype, device=mean.device)
    with mode:
        made: Tensor = torch.randn_like(like) * std + mean
    return made


@_handles("bernoulli", "bernoulli.p")
def _bernoulli(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    chance = args[1] if len(args) > 1 else args[0]
    with mode:
        return torch.empty_like(args[0]).copy_(torch.rand_like(args[0]) < chance)


@_handles("random_", "random_.from", "random_.to", "bernoulli_.Tensor")
def _whole_numbers_(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    return mode.run_anew(func, args, kwargs)  # type: ignore[no-any-return]


@_handles("fill_.Scalar", "fill_.Tensor", "zero_")
def _fill_(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    tensor = args[0]
    value = args[1] if len(args) > 1 else 0
    if isinstance(value, Tensor):
        if mode.is_symbolic(value):
            return mode._operation(func, kind_of(func), args, kwargs)  # type: ignore[no-any-return]
        mode.refresh(value)
        value = value.item()
    site, call = look()
    if not tensor.numel() or mode._absorbed(tensor, site, call):
        return tensor  # type: ignore[no-any-return]
    record = mode._recorded(tensor)
    whole = covers(tensor)
    if not whole and record.fresh and (record.state is None or not record.state.symbolic):
        func(*args, **kwargs)
        mode.known(tensor, site)
        return tensor  # type: ignore[no-any-return]
    mode.write(tensor, Fill(value), site)
    if whole and not tensor.is_meta and storage_of(tensor).nbytes() < SMALL:
        tensor.fill_(value)
        record.fresh = True
    return tensor  # type: ignore[no-any-return]


@_handles("copy_")
def _copy_(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    target, source = args[0], args[1]
    site, call = look()
    if not target.numel() or mode._absorbed(target, site, call):
        return target  # type: ignore[no-any-return]
    record, held = mode._recorded(target), mode.record(source)
    if held is None or held.state is None or not held.state.symbolic:
        mode.refresh(source)
        if record.state is None or not record.state.symbolic or covers(target):
            if record.state is not None and not covers(target):
                mode.refresh(target)
            func(*args, **kwargs)
            mode.known(target, site)
        else:
            mode.write(target, Known(source.detach().expand(target.shape).to(target.dtype, copy=True)), site)
        return target  # type: ignore[no-any-return]
    mode.events.append(Event("copy", tuple(target.shape), site))
    what = reading(held.state, View.of(source.detach().expand(target.shape)))
    if source.dtype != target.dtype and isinstance(what, (Read, Result)):
        read = Read(held.state, View.of(source.detach().expand(target.shape)))
        what = Result(Done(aten._to_copy.default, (read,), {"dtype": target.dtype}, (), site), 0)
    mode.write(target, what, site)
    return target  # type: ignore[no-any-return]


@_handles("clone")
def _clone(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    source = args[0]
    record = mode.record(source)
    if record is None or record.state is None or record.state.symbolic or not source.numel():
        return mode._operation(func, kind_of(func), args, kwargs)  # type: ignore[no-any-return]
    mode.refresh(source)
    made: Tensor = func(*args, **kwargs)
    what = reading(record.state, View.of(source))
    copied = mode._recorded(made)
    if isinstance(what, Fill):
        copied.state = State(None, View.of(made), what)
    copied.fresh, copied.site = True, record.site
    return made


@_handles("_local_scalar_dense", "equal", "is_nonzero", "nonzero", "masked_select", "_unique2")
def _valued(mode: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    for tensor in tensors_in(args, kwargs):
        if mode.is_symbolic(tensor) and tensor.is_meta:
            return func(*args, **kwargs)
        mode.refresh(tensor, str(func))
    return func(*args, **kwargs)
