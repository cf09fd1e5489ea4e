"""The observer of a construction: a dispatch mode under which everything runs as always, and who wrote what is noted by storage.

Memory that is asked for empty gets the canary. Each storage has a ``Trace``: its writes, their line of code and init function, the
law they declare, and the storages it was computed from.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from ..._capture.operators import kind_of, tensors_in
from ..._capture.records import covers
from ..._capture.sites import Call, Site, look
from ..._uncompiled import UncompiledMode
from .canary import plant
from .follow import law_after, law_of_call, law_of_made, partly
from .law import Law

aten = torch.ops.aten
_MODULES = os.path.join(str(Path(torch.__file__).parent), "nn", "modules") + os.sep
_EMPTY = {
    *(aten.empty.memory_format, aten.empty_like.default, aten.empty_strided.default),
    *(aten.new_empty.default, aten.new_empty_strided.default),
}
_SAID = ("mean", "std", "a", "b", "mode", "nonlinearity", "gain", "fan", "val", "scale", "distribution")


class InitCall(NamedTuple):
    """One call of an init function: its name, what it was told, the shape of the tensor it was given, and who called.

    ``by_module``: a class of torch.nn called it, in its own constructor or reset.
    """

    name: str
    said: dict[str, Any]
    shape: tuple[int, ...]
    is_torch: bool
    by_module: bool


class Write(NamedTuple):
    """One write to a storage.

    Args:
        op: the operator, ``normal_``, ``copy_``, ``randn``.
        site: the line of the model's code.
        call: the init function on the way, or None.
        law: what the elements are after it, or None where that is not known.
        random: whether it drew from a generator.
        whole: whether it wrote every element of the storage.
        shape, dtype, device: of what it wrote to.
        order: how many writes came before, in the whole construction.
        loaded: it is ``load_state_dict`` copying a value in.
        dense: what it wrote to is contiguous.
    """

    op: str
    site: Site
    call: InitCall | None
    law: Law | None
    random: bool
    whole: bool
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: str
    order: int
    loaded: bool = False
    dense: bool = True


class Trace:
    """What happened to one storage."""

    __slots__ = ("blank", "computed", "law", "made", "origin", "parents", "random", "read", "registered", "weak", "writes")

    def __init__(self, storage: torch.UntypedStorage, made: Site | None) -> None:
        self.weak = StorageWeakRef(storage)
        self.made = made
        self.blank = False  # it began as unfilled memory that holds the canary
        self.computed = False  # it is the result of an operation on other tensors
        self.law: Law | None = None
        self.random = False
        self.read = False  # something was computed from it
        self.registered = ""  # "Conv2d.weight": the module and name that it was registered under
        self.parents: set[Trace] = set()  # what its values come from
        self.origin: set[Trace] = set()  # what it was made from, whatever was written to it later
        self.writes: list[Write] = []

    @property
    def last(self) -> Write | None:
        """The last write."""
        return None if not self.writes else self.writes[-1]

    @property
    def from_blank(self) -> bool:
        """Whether anything that it was computed from began as unfilled memory."""
        seen, open_ = {self}, [self]
        while open_:
            for parent in open_.pop().parents:
                if parent.blank:
                    return True
                if parent not in seen:
                    seen.add(parent)
                    open_.append(parent)
        return False

    @property
    def drawn_by(self) -> Write | None:
        """The last write that decided the values: a draw, a copy or a whole fill; not a scaling, nor a partial zeroing after it."""
        for write in self.writes[::-1]:
            if write.whole and write.op not in _SCALING:
                return write
        return self.last


class Watch(UncompiledMode):
    """Observes whatever runs inside."""

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seed = seed
        self.traces: dict[int, Trace] = {}
        self.drawn = 0  # elements
        self.writes = 0
        self.reseeded: Site | None = None
        self.seeded_alike = False  # the constructor set the seed that stood there already
        self._loading = False
        self._initial = torch.default_generator.initial_seed()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        kind = kind_of(func)
        if kind.only_looks:
            return func(*args, **kwargs)
        if func in _EMPTY:
            result = func(*args, **kwargs)
            self._trace(result, look()[0]).blank = plant(result)
            return result
        random = torch.Tag.nondeterministic_seeded in func.tags
        if random:
            self._check_seed(look()[0])
        self._loading = func is aten.copy_.default and _is_loading()
        result = func(*args, **kwargs)
        inputs = list(tensors_in(args, kwargs))
        changed = [target for place in kind.changes if isinstance(target := _at(place, args, kwargs), Tensor)]
        if not changed and not isinstance(result, (Tensor, tuple, list)):
            return result
        site, call = look()
        for target in changed:
            self._wrote(func, args, kwargs, target, inputs, random, site, call)
        if not changed:
            for made in [result] if isinstance(result, Tensor) else result:
                if isinstance(made, Tensor):
                    self._made(func, args, kwargs, made, inputs, random, site, call)
        return result

    def trace(self, tensor: Tensor) -> Trace | None:
        """What happened to a tensor's storage, if anything was seen."""
        storage = _storage(tensor)
        return None if storage is None else self.traces.get(storage._cdata)

    def registered(self, tensor: Tensor, what: str) -> None:
        """Note that a tensor became a module's parameter or buffer."""
        trace = self._trace(tensor, None)
        trace.registered = trace.registered or what

    def _trace(self, tensor: Tensor, site: Site | None) -> Trace:
        storage = _storage(tensor)
        if storage is None:
            return Trace(torch.UntypedStorage(0), site)
        found = self.traces.get(storage._cdata)
        if found is None:
            found = self.traces[storage._cdata] = Trace(storage, site)
        return found

    def _check_seed(self, site: Site) -> None:
        now = torch.default_generator.initial_seed()
        if now != self._initial or self.seeded_alike:
            self.seeded_alike = False
            self._initial = now
            self.reseeded = self.reseeded or site

    def _wrote(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        target: Tensor,
        inputs: list[Tensor],
        random: bool,
        site: Site,
        call: Call | None,
    ) -> None:
        trace = self._trace(target, site)
        op = func._schema.name.partition("::")[2]
        whole = covers(target) and op not in _IN_PLACES
        said = _init_call(call, target)
        others = [trace_of for one in inputs if one is not target and (trace_of := self.trace(one)) is not None]
        law = law_of_call(call, target) if said is not None else None
        if law is None:
            law = law_after(op, args, kwargs, trace.law, self._law_of(args[1]) if len(args) > 1 else None, random)
        if whole and (op in _PLAIN or random):
            trace.parents = set()
        for other in others:
            if other is not trace:
                trace.parents.add(other)
                other.read = True
        is_random = random or any(other.random for other in others)
        trace.random = is_random or (trace.random and (not whole or op in _SCALING or op not in _PLAIN))
        trace.law = law if whole else partly(trace.law, law)
        self._note(trace, op, site, said, law, is_random, whole, target)

    def _made(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        made: Tensor,
        inputs: list[Tensor],
        random: bool,
        site: Site,
        call: Call | None,
    ) -> None:
        trace = self._trace(made, site)
        op = func._schema.name.partition("::")[2]
        sources = [found for one in inputs if (found := self.trace(one)) is not None]
        for source in sources:
            if source is not trace:
                trace.parents.add(source)
                trace.origin.add(source)
                source.read = True
        trace.computed = bool(inputs)
        law = law_of_made(op, args, kwargs, self._law_of(args[0]) if args else None, random, made)
        trace.law, trace.random = law, random or any(source.random for source in sources)
        self._note(trace, op, site, None, law, trace.random, True, made)

    def _note(
        self,
        trace: Trace,
        op: str,
        site: Site,
        said: InitCall | None,
        law: Law | None,
        random: bool,
        whole: bool,
        target: Tensor,
    ) -> None:
        if random and op in _DRAWS and not target.is_meta:
            self.drawn += target.numel()
        if len(trace.writes) < 64:
            trace.writes.append(
                Write(
                    op,
                    site,
                    said,
                    law,
                    random,
                    whole,
                    tuple(target.shape),
                    target.dtype,
                    target.device.type,
                    self.writes,
                    self._loading,
                    target.is_contiguous(),
                )
            )
        self.writes += 1

    def _law_of(self, value: Any) -> Law | None:
        if not isinstance(value, Tensor):
            return None
        trace = self.trace(value)
        return None if trace is None or not covers(value) else trace.law


_SCALING = frozenset({"mul_", "div_", "add_", "sub_", "clamp_", "clamp_min_", "clamp_max_", "neg_"})
_IN_PLACES = frozenset(  # they write where a mask or indices say, and keep the rest
    {
        *("index_put_", "_index_put_impl_", "index_fill_", "index_copy_", "index_add_", "masked_fill_", "masked_scatter_"),
        *("scatter_", "scatter_add_", "scatter_reduce_", "put_"),
    }
)
_PLAIN = frozenset({"fill_", "zero_", "copy_"})  # whole, they leave nothing of what was there
_DRAWS = frozenset(
    {
        *("normal_", "uniform_", "random_", "bernoulli_", "exponential_", "log_normal_", "cauchy_", "geometric_"),
        *("randn", "rand", "randn_like", "rand_like", "randint", "randperm", "normal", "bernoulli", "multinomial"),
    }
)


def _is_loading() -> bool:
    """Whether ``load_state_dict`` is what copies; a few frames of torch's own lie between."""
    frame = sys._getframe(2)
    for _ in range(5):
        if frame is None or frame.f_code.co_name == "_load_from_state_dict":
            return frame is not None
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _at(place: int | str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if isinstance(place, str):
        return kwargs.get(place)
    return args[place] if place < len(args) else None


def _storage(tensor: Tensor) -> torch.UntypedStorage | None:
    """A tensor's storage; None where it has none of its own: sparse, lazy, wrapped by functorch."""
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError, ValueError):
        return None


def _init_call(call: Call | None, target: Tensor) -> InitCall | None:
    """The init function behind a write to the tensor that it was given; None for its temporaries."""
    if call is None:
        return None
    said = call.said
    given = said.get("tensor")
    if not isinstance(given, Tensor) or given.is_meta != target.is_meta:
        return None
    theirs, ours = _storage(given), _storage(target)
    if theirs is None or ours is None or theirs._cdata != ours._cdata:
        return None
    told = {word: said[word] for word in _SAID if isinstance(said.get(word), (int, float, str))}
    return InitCall(call.name, told, tuple(given.shape), call.is_torch, _is_torch_module(call))


def _is_torch_module(call: Call) -> bool:
    caller = call.frame.f_back
    return caller is not None and caller.f_code.co_filename.startswith(_MODULES)
