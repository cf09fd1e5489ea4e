"""The recorder: a dispatch mode under which a constructor's random and constant fills are written down instead of computed.

Each storage has a ``Record``: what it holds as a ``State``, and whether its memory agrees. What is known without a key runs as it
always does. What depends on a draw is recorded too, its shapes by meta tensors, so a model that probes itself with a forward pass
costs no arithmetic. Only what must become a Python value (``item``, ``tolist``, ``numpy``) has its draws made, by the engine.
"""

from __future__ import annotations

import marshal
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from .._errors import WriteError
from .._execute import Batch
from .._programs import Program
from .._stream import Keys
from .._uncompiled import UncompiledMode
from ..initializers import Initializer
from .blank import AddressSpace, blank
from .fold import FOLDABLE, WHOLE, folded, said_by, whole_initializer, whole_program
from .homes import Homes, draws_in
from .operators import Kind, at, kind_of, looks_like, on_meta, tensors_in
from .programs import Translator
from .records import Event, Record, as_event, covers, filled_below, is_covered, snapshot, storage_of
from .sites import Call, Site, look
from .values import Cut, Done, Draw, Drawn, Fill, Known, Nothing, Read, Result, State, View, What, reading

aten = torch.ops.aten
Law = TypeVar("Law")
READ_LIMIT = 1 << 31  # elements that are drawn only to be read, before capture refuses, unless the user says another number


class Recorder(UncompiledMode):
    """Records one run of a constructor.

    Args:
        seed: of the plan.
        homes: the draws' final names, where an earlier run found them.
        read_limit: elements that may be drawn only to be read.
    """

    def __init__(self, seed: int, homes: Homes, read_limit: int = READ_LIMIT) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seed, self.translator, self.read_limit = seed, Translator(homes), read_limit
        self.records: dict[int, Record] = {}
        self.space = AddressSpace()
        self.events: list[Event] = []
        self.draws = 0
        self.drawn_elements = 0
        self.forced: list[Event] = []
        self.forced_draws: dict[int, Draw] = {}
        self.forced_elements = 0
        self._shapes: dict[Any, Any] = {}
        self._laws: dict[tuple[object, bytes], Any] = {}
        self._whole: tuple[Any, int] | None = None  # the frame of orthogonal_ & co. whose inner writes are absorbed

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        handler = HANDLERS.get(id(func))
        if handler is not None:
            return handler(self, func, args, kwargs)
        kind = kind_of(func)
        if kind.only_looks:
            return func(*args, **kwargs)
        return self._operation(func, kind, args, kwargs)

    # --- records -----------------------------------------------------------------------------------------------------------------

    def record(self, tensor: Tensor) -> Record | None:
        """The record of a tensor's storage, if it has one."""
        try:
            return self.records.get(storage_of(tensor)._cdata)
        except (NotImplementedError, RuntimeError):  # sparse, functorch, …: no storage of its own
            return None

    def _recorded(self, tensor: Tensor) -> Record:
        storage = storage_of(tensor)
        found = self.records.get(storage._cdata)
        if found is None:
            found = self.records[storage._cdata] = Record(storage)
        return found

    def is_symbolic(self, tensor: Tensor) -> bool:
        record = self.record(tensor)
        return record is not None and record.state is not None and record.state.symbolic

    def write(self, tensor: Tensor, what: What, site: Site) -> None:
        """Record a write to the elements that a tensor shows."""
        if tensor.numel() == 0:
            return
        record, view = self._recorded(tensor), View.of(tensor)
        if covers(tensor):
            under = None
            self._overridden(record)
        else:
            under = record.state if record.state is not None else snapshot(tensor)
            if under.undefined and is_covered(under, view, storage_of(tensor).nbytes() // tensor.element_size()):
                under = filled_below(under)
        record.state, record.fresh, record.site = State(under, view, what), False, site

    def _overridden(self, record: Record) -> None:
        """All of what it held is lost."""
        if record.state is not None and record.site is not None and len(record.overridden) < 8:
            what = record.state.what
            if isinstance(what, (Drawn, Fill)):
                record.overridden.append((record.site, what))

    def new(
        self, shape: Sequence[int], like: Tensor | None, dtype: torch.dtype, device: torch.device, what: What, site: Site
    ) -> Tensor:
        """A tensor with that content and no values."""
        stride = None if like is None or like.is_contiguous() else tuple(like.stride())
        tensor = blank(shape, stride, dtype, device)
        record = self._recorded(tensor)
        record.state, record.fresh, record.site = State(None, View.of(tensor), what), False, site
        return tensor

    def known(self, tensor: Tensor, site: Site | None) -> None:
        """The memory of this tensor now says what it holds."""
        record = self._recorded(tensor)
        if record.state is not None:
            if site is not None and covers(tensor):
                self._overridden(record)
            record.state, record.fresh = None, True
        if site is not None:
            record.site = site

    def content(self, tensor: Tensor) -> Read | Known:
        """What a tensor holds now, as an argument of something that is not run."""
        record = self.record(tensor)
        if record is None or record.state is None:
            return Known(tensor.detach().clone())
        view = View.of(tensor)
        return Read(record.state, view)

    # --- drawing what must be read -----------------------------------------------------------------------------------------------

    def refresh(self, tensor: Tensor, why: str = "") -> None:
        """Make the memory of a tensor agree with its record, drawing what is undrawn."""
        record = self.record(tensor)
        if record is not None and record.state is not None and not record.fresh:
            self.fill(record, storage_of(tensor), why)

    def fill(self, record: Record, storage: torch.UntypedStorage, why: str = "") -> None:
        """Fill a storage by its record."""
        state = record.state
        assert state is not None
        if state.random and why:
            self._force(state, why)
        if storage.device.type == "meta":
            raise WriteError(
                f"a tensor of shape {state.view.shape} that was written at {record.site} is read while it has no memory"
            )
        batch = Batch()
        for write in state.writes():
            view = write.view
            if isinstance(write.what, Nothing):
                continue
            target = torch.empty(0, dtype=view.dtype, device=storage.device)
            target.set_(storage, view.offset, view.shape, view.stride)
            batch.add(target, self.translator.what(write.what, "", view.shape, view.dtype, None), Keys(self.seed, ""))
            batch.run()
        record.fresh = True

    def _force(self, state: State, why: str) -> None:
        for draw in draws_in(state):
            draw.forced = True
            self.forced_draws[draw.ordinal] = draw
        site, _ = look()
        self.forced.append(Event(why, state.view.shape, site))
        self.forced_elements += state.view.numel
        if self.forced_elements > self.read_limit:
            raise WriteError(
                f"the constructor reads values that are not drawn yet ({why} on a tensor of shape {state.view.shape} at {site}), "
                f"by now {self.forced_elements:,} elements: more than read_limit={self.read_limit:,}; say a larger read_limit=, "
                f"build a smaller model, or take the read out"
            )

    # --- operations --------------------------------------------------------------------------------------------------------------

    def law(self, kind: Callable[..., Law], *numbers: complex) -> Law:
        """The law of that kind, one object for the same numbers, so that who has seen it need not look at it again."""
        key = kind, marshal.dumps(numbers, 2)  # to the bit and the type: −0 and 0 are not the same, nor are 1 and 1.0
        found: Law | None = self._laws.get(key)
        if found is None:
            found = self._laws[key] = kind(*numbers)
        return found

    def draw(self, tensor: Tensor, law: Program | Cut, site: Site, call: Call | None, said: Initializer | None = None) -> None:
        """Record that a tensor is drawn from a law."""
        if self._absorbed(tensor, site, call):
            return
        self.write(tensor, self._new_draw(tuple(tensor.shape), law, site, call, said), site)

    def _new_draw(
        self, shape: tuple[int, ...], law: Program | Cut, site: Site, call: Call | None, said: Initializer | None = None
    ) -> Drawn:
        numel = math.prod(shape)
        draw = Draw(self.draws, numel, site)
        self.draws += 1
        self.drawn_elements += numel
        self.events.append(as_event(("draw", shape, site)))
        return Drawn(draw, law, said or said_by(call, law), shape)

    def _absorbed(self, tensor: Tensor, site: Site, call: Call | None) -> bool:
        """Whether this write is part of orthogonal_, sparse_, eye_ or dirac_ on this tensor, which are recorded as one."""
        if call is None or not call.is_torch or call.name not in WHOLE:
            return False
        said = call.said
        target = said.get("tensor")
        if not isinstance(target, Tensor):
            return False
        storage = storage_of(tensor)._cdata
        if storage_of(target)._cdata != storage:
            return False
        if self._whole is not None and self._whole[0] is call.frame and self._whole[1] == storage:
            return True
        self._whole = (call.frame, storage)
        initializer = whole_initializer(call.name, said)
        assert initializer is not None
        shape = tuple(target.shape)
        program = whole_program(initializer, shape)
        self.write(target, self._new_draw(shape, program, site, None, initializer), site)
        return True

    def _operation(self, func: Any, kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensors = list(tensors_in(args, kwargs))
        changed = [at(place, args, kwargs) for place in kind.changes]
        site, call = look()
        for tensor in changed:
            if isinstance(tensor, Tensor) and self._absorbed(tensor, site, call):
                return kind.returned(args, kwargs)
        symbolic = False
        for tensor in tensors:
            if self.is_symbolic(tensor):
                # an out= that is wholly overwritten is not read
                if kind.is_out and any(tensor is one for one in changed) and covers(tensor):
                    continue
                symbolic = True
        if not symbolic:
            for tensor in tensors:
                if not (kind.is_out and any(tensor is one for one in changed)):
                    self.refresh(tensor)
            result = func(*args, **kwargs)
            if tensors or isinstance(result, Tensor):
                for tensor in changed:
                    self.known(tensor, site)
                if isinstance(result, Tensor) and not changed:
                    self.known(result, site)
            return result
        self.events.append(Event(str(func), tuple(tensors[0].shape), site))
        return self._postponed(func, kind, args, kwargs, tensors, site, call)

    def _postponed(
        self,
        func: Any,
        kind: Kind,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tensors: list[Tensor],
        site: Site,
        call: Call | None,
    ) -> Any:
        if kind.changes:
            what = self._folded(func, args, kwargs, call)
            done = None if what is not None else self._done(func, kind, args, kwargs, site)
            targets = [at(place, args, kwargs) for place in kind.changes]
            for item, target in enumerate(targets):
                self.write(target, what if what is not None else Result(done, item), site)  # type: ignore[arg-type]
            return kind.returned(args, kwargs)
        try:
            shapes = self._on_meta(func, args, kwargs)
        except Exception:
            return self._run(func, args, kwargs, tensors, site)
        several = isinstance(shapes, (tuple, list))
        outs = list(shapes) if several else [shapes]
        if not all(isinstance(out, Tensor) or out is None for out in outs) or not outs:
            return self._run(func, args, kwargs, tensors, site)
        what = None if several else self._folded(func, args, kwargs, call)
        if what is not None and func is aten.clone.default:
            site = self._recorded(args[0]).site or site  # a copy was decided where the original was
        done = None if what is not None else self._done(func, kind, args, kwargs, site)
        device = next((tensor.device for tensor in tensors if tensor.dim()), tensors[0].device)
        device = torch.device(kwargs["device"]) if kwargs.get("device") is not None else device
        made = [
            None
            if out is None
            else self.new(out.shape, out, out.dtype, device, what if what is not None else Result(done, item), site)  # type: ignore[arg-type]
            for item, out in enumerate(outs)
        ]
        return type(shapes)(made) if several and type(shapes) in (tuple, list) else tuple(made) if several else made[0]

    def _on_meta(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operator gives on meta, asked once for arguments that look alike: many of its answers are worked out in Python."""
        key = func, looks_like(args), looks_like(kwargs)
        try:
            found = self._shapes.get(key)
        except TypeError:  # an argument that cannot be hashed
            return func(*on_meta(args), **on_meta(kwargs))
        if found is None:
            found = self._shapes[key] = func(*on_meta(args), **on_meta(kwargs))
        return found

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor], site: Site) -> Any:
        """Run an operation that asks for values: they are drawn first."""
        for tensor in tensors:
            self.refresh(tensor, str(func))
        result = func(*args, **kwargs)
        if isinstance(result, Tensor):
            self.known(result, site)
        return result

    def run_anew(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operation that overwrites its first argument whatever that held, and keep what it gives."""
        target = args[0]
        site, _ = look()
        if not target.numel():
            return func(*args, **kwargs)
        made = torch.empty(target.shape, dtype=target.dtype, device="cpu" if target.is_meta else target.device)
        func(made, *args[1:], **kwargs)
        self.write(target, Known(made), site)
        return target

    def _done(self, func: Any, kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any], site: Site) -> Done:
        def said(value: Any) -> Any:
            if isinstance(value, Tensor):
                return self.content(value)
            if isinstance(value, (list, tuple)):
                return tuple(said(part) for part in value)
            return value

        return Done(func, tuple(said(a) for a in args), {name: said(a) for name, a in kwargs.items()}, kind.changes, site)

    def _folded(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], call: Call | None) -> Drawn | None:
        """The draw under another law, where arithmetic on a draw is one."""
        if (
            func not in FOLDABLE
            or not args
            or not isinstance(args[0], Tensor)
            or any(self.is_symbolic(a) for a in args[1:] if isinstance(a, Tensor))
        ):
            return None
        record = self.record(args[0])
        if record is None or record.state is None:
            return None
        dtype = kwargs.get("dtype")
        if dtype is not None and not dtype.is_floating_point:
            return None
        what = reading(record.state, View.of(args[0]))
        if not isinstance(what, Drawn):
            return None
        law = folded(func, args, kwargs, what.law)
        if law is None:
            return None
        said = what.said if law is what.law else said_by(call, law) if call is not None and not call.is_torch else None
        return Drawn(what.draw, law, said, tuple(args[0].shape))


Handler = Callable[[Recorder, Any, tuple[Any, ...], dict[str, Any]], Any]
HANDLERS: dict[int, Handler] = {}  # by the operator's id, to hash which takes Python; filled by _capture/handlers.py
