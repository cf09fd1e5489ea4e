"""Measuring a model: which instruments run, in which order, and the reason for each that does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from ..._errors import InitiumError, ModelError, counted
from ..._inventory import Inventory, Slot, inventory
from ..._measure.sources import tensors_of
from ..._tensors import is_dtensor
from ..report import NotRun
from .canary import found
from .construct import Construction, again, first_line, lost_writes, missed_on_meta, run_constructor
from .inputs import candidates, given
from .likeness import rows_of, rows_of_all
from .moments import Moments, moments_of, moments_of_all
from .probe import CannotRun, probe
from .seen import Seen, TensorSeen
from .spectra import spectra_of

_REBUILT = 200_000_000  # elements up to which a model is built a second time unasked
_PROBED = 1_000_000_000  # and up to which it is run backward unasked: gradients and copies are three times the model


class Wanted(NamedTuple):
    """What to measure: the values, a forward pass, a backward pass, a second build (None: if small), a build on meta, and
    ``registry.EXTRAS``."""

    values: bool
    forward: bool
    backward: bool
    rebuild: bool | None
    meta: bool
    extras: frozenset[str] = frozenset()


def collect(
    source: nn.Module | str | Path | None,
    make: Callable[[], nn.Module] | None,
    inputs: Any,
    seed: int,
    label: str,
    wanted: Wanted,
) -> tuple[Seen, dict[str, NotRun], dict[str, float]]:
    """Measure a model, a file or what a callable makes; (what was seen, why the rest was not, seconds of each part).

    Raises:
        ModelError: the callable raises or makes no module, or the model cannot be read.
    """
    clock = _Clock()
    why: dict[str, NotRun] = {}
    if isinstance(source, (str, Path)):
        return _file(source, label, wanted, clock)
    built: Construction | None = None
    if make is not None:
        built = _built(make, seed, label)
        model = built.model
    else:
        assert isinstance(source, nn.Module)
        model = source
        reason = f"{label} was given as a model, already built: give the class or function that makes it"
        why |= {need: NotRun(need, reason) for need in ("construction", "rebuild", "meta")}
    clock.lap("construction")
    lazy = [name for name, one in model.named_parameters() if isinstance(one, UninitializedTensorMixin)]
    if lazy:
        seen = Seen(label, model, None, notes={"lazy": lazy})
        reason = f"{lazy[0]} is lazy and has no shape yet: run one forward pass first"
        return (
            seen,
            {**why, **{k: NotRun(k, reason, k == "forward") for k in ("values", "forward", "grad", "model")}},
            clock.laps,
        )
    try:
        inv = inventory(model)
    except InitiumError as error:
        raise ModelError(f"{label} cannot be read: {error}") from error
    seen = Seen(label, model, inv, built=built)
    if not inv.slots:
        why["model"] = NotRun("model", f"{label} has no parameter and no buffer: there is nothing to audit", True)
    measured_tensors(seen, inv, wanted.values)
    if built is not None:
        seen.lost = lost_writes(built, inv)
    clock.lap("values")
    if "spectra" in wanted.extras and wanted.values:
        seen.spectra = spectra_of(seen)
        clock.lap("spectra")
    meta = [slot.name for slot in inv.slots if slot.tensor.is_meta]
    if meta:
        why["values"] = NotRun(
            "values", f"{counted(len(meta), 'tensor is', 'tensors are')} on meta, without values, the first {meta[0]}"
        )
    if make is not None:
        _rebuilt(seen, make, seed, wanted, why, bool(meta))
        clock.lap("second build")
    if wanted.forward and inv.slots:
        _probed(seen, inputs, wanted, why, meta)
        clock.lap("forward and backward")
    if not wanted.values:
        why.pop("values", None)
    return seen, why, clock.laps


def _built(make: Callable[[], nn.Module], seed: int, label: str) -> Construction:
    try:
        built = run_constructor(make, seed)
    except InitiumError:
        raise
    except (Exception, SystemExit) as error:  # a constructor may raise anything
        hint = "; give arguments by a lambda" if isinstance(error, TypeError) else ""
        raise ModelError(f"{label} cannot be built: {type(error).__name__}: {first_line(error)}{hint}") from error
    if not isinstance(built.model, nn.Module):
        raise ModelError(f"{label} makes a {type(built.model).__name__}, not an nn.Module")
    return built


def measured_tensors(seen: Seen, inv: Inventory, values: bool) -> None:
    """Fill ``seen.tensors``."""
    slots = [slot for slot in inv.slots if slot.tied_to is None]
    tensors = [_whole(slot.tensor.detach()) for slot in slots]
    read = [one for one in tensors if values and not one.is_meta and one.numel()]
    moments = dict(zip(map(id, read), moments_of_all(read), strict=True))
    for slot, tensor in zip(slots, tensors, strict=True):
        seen.tensors[slot.name] = _tensor(slot, seen.built, tensor, moments.get(id(tensor)))
    matrices = {one.name: _matrix(one.tensor, one.moments) for one in seen.tensors.values() if not one.is_buffer}
    real = {name: matrix for name, matrix in matrices.items() if matrix is not None}
    for name, rows in zip(real, rows_of_all(list(real.values())), strict=True):
        seen.tensors[name] = seen.tensors[name]._replace(rows=rows)


_SPARSE = frozenset({torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc})


def _whole(tensor: Tensor) -> Tensor:
    """The tensor, gathered where it is sharded (every rank is here), and with its zeros where it is sparse."""
    if tensor.layout in _SPARSE and not tensor.is_meta:
        return tensor.to_dense()
    return tensor.full_tensor() if is_dtensor(tensor) and not tensor.is_meta else tensor  # type: ignore[attr-defined]


def _matrix(tensor: Tensor | None, moments: Moments | None) -> Tensor | None:
    """A tensor's rows, where they are worth comparing."""
    if tensor is None or moments is None or tensor.dim() < 2 or not tensor.is_floating_point():
        return None
    if moments.constant or moments.nan or moments.inf or tensor.shape[0] < 2 or tensor.numel() < 2 * tensor.shape[0]:
        return None
    return tensor.reshape(tensor.shape[0], -1)


def _tensor(slot: Slot, built: Construction | None, tensor: Tensor, moments: Moments | None) -> TensorSeen:
    trace = built.trace(slot.tensor) if built is not None and slot.computed is None else None
    if slot.tensor.is_meta:
        return TensorSeen(slot.name, None, slot, trace=trace)
    one = TensorSeen(slot.name, tensor, slot, trace=trace)
    if trace is not None and _may_be_unfilled(trace.blank, tensor, moments):
        unfilled = int(found(tensor).sum())
        if not unfilled and not trace.writes and trace.blank and moments is not None and moments.nan == tensor.numel():
            unfilled = tensor.numel()
        one = one._replace(unfilled=unfilled)
    return one._replace(moments=moments)


def _may_be_unfilled(blank: bool, tensor: Tensor, moments: Moments | None) -> bool:
    """Whether it is worth looking for the canary: floats that hold it are NaN; integers must be searched."""
    if tensor.is_floating_point() or tensor.is_complex():
        return moments.nan > 0 if moments is not None else blank
    return tensor.numel() <= 1 << 24


def _rebuilt(seen: Seen, make: Callable[[], nn.Module], seed: int, wanted: Wanted, why: dict[str, NotRun], meta: bool) -> None:
    elements = sum(one.tensor.numel() for one in seen.tensors.values() if one.tensor is not None)
    if wanted.rebuild is False or meta:
        why["rebuild"] = NotRun("rebuild", "it is on meta" if meta else "a second build was not asked for")
        why["meta"] = NotRun("meta", why["rebuild"].reason)
        return
    if wanted.rebuild is None and elements > _REBUILT:
        reason = f"a second build of {elements:,} elements takes as much memory again: say rebuild=True"
        why["rebuild"], why["meta"] = NotRun("rebuild", reason), NotRun("meta", reason)
        return
    if wanted.values:
        other = again(make, seed)
        if other is None:
            why["rebuild"] = NotRun("rebuild", "the constructor raises when it is run a second time")
        else:
            seen.unlike_itself = _unlike(seen, other)
        del other
        if seen.unlike_itself is not None and (other := again(make, seed + 1)) is not None:
            seen.unmoved = _unmoved(seen, other)
        del other
    else:
        why["rebuild"] = NotRun("rebuild", "level static looks at no values")
    if wanted.meta:
        missed = missed_on_meta(make, seed)
        if isinstance(missed, str):
            why["meta"] = NotRun("meta", missed)
        else:
            seen.missed = missed[:2]
            seen.otherwise_on_meta = _otherwise(seen, missed[2])


def _otherwise(seen: Seen, buffers: dict[str, Tensor]) -> dict[str, float]:
    """Buffers that are not random and have other values there: by how much at most."""
    found = {}
    for name, raw in buffers.items():
        mine, other = seen.tensors.get(name), _whole(raw)
        if mine is None or mine.tensor is None or mine.unfilled or mine.random or mine.tensor.shape != other.shape:
            continue
        if other.numel() and not torch.equal(mine.tensor, other.to(mine.tensor.dtype)):
            found[name] = float((mine.tensor.double() - other.double()).abs().max())
    return found


def _unlike(seen: Seen, other: Inventory) -> list[str]:
    unlike = []
    for slot in other.slots:
        mine = seen.tensors.get(slot.name)
        if mine is None or mine.tensor is None or mine.unfilled or slot.tensor.is_meta:
            continue
        if mine.tensor.shape != slot.tensor.shape or not torch.equal(
            mine.tensor.nan_to_num() if mine.moments is not None and mine.moments.nan else mine.tensor,
            _whole(slot.tensor.detach()).nan_to_num()
            if mine.moments is not None and mine.moments.nan
            else _whole(slot.tensor.detach()),
        ):
            unlike.append(slot.name)
    return unlike


def _unmoved(seen: Seen, other: Inventory) -> list[str]:
    """Trained parameters that were drawn at random, and are what they were although the seed is another."""
    unmoved = []
    for slot in other.slots:
        mine = seen.tensors.get(slot.name)
        if mine is None or mine.tensor is None or mine.moments is None or mine.unfilled or mine.computed or slot.tensor.is_meta:
            continue
        drawn = mine.random and mine.moments.various  # a draw of which nothing is left, as under a parametrisation, is none
        if drawn and not mine.is_buffer and slot.tensor.requires_grad and mine.tensor.shape == slot.tensor.shape:
            if torch.equal(mine.tensor, _whole(slot.tensor.detach())):
                unmoved.append(slot.name)
    return unmoved


def _probed(seen: Seen, inputs: Any, wanted: Wanted, why: dict[str, NotRun], meta: list[str]) -> None:
    assert seen.model is not None
    elements = sum(one.tensor.numel() for one in seen.tensors.values() if one.tensor is not None)
    reason = ""
    if meta:
        reason = f"{counted(len(meta), 'tensor is', 'tensors are')} on meta, the first {meta[0]}: it cannot be run"
    backward = wanted.backward
    sharded = [one.name for one in seen.tensors.values() if one.slot is not None and is_dtensor(one.slot.tensor)]
    if sharded:  # its hooks gather and free what a probe looks at
        many = counted(len(sharded), "tensor is", "tensors are")
        reason = f"{many} sharded, the first {sharded[0]}: audit the model before it is, its values are the same"
        why["forward"], why["grad"] = NotRun("forward", reason), NotRun("grad", reason)
        return
    if elements > _PROBED and inputs is None:
        reason = reason or f"a probe of {elements:,} elements takes three times their memory: say inputs= to have it made"
        why["forward"], why["grad"] = NotRun("forward", reason), NotRun("grad", reason)
        return
    if not reason:
        tries = [given(inputs)] if inputs is not None else candidates(seen.model)
        matrices = [
            one.name
            for one in seen.parameters
            if len(one.shape) >= 2
            and one.moments is not None
            and (one.moments.constant or (one.rows and one.rows.n_duplicates))
        ]
        trained = {
            one.name: one.slot.tensor for one in seen.tensors.values() if one.slot and not one.is_buffer and not one.computed
        }
        scales = [
            one.name
            for one in seen.parameters
            if one.layout.role == "norm" and one.moments is not None and one.moments.constant and one.moments.low == 0
        ]
        try:
            seen.probe = probe(
                seen.model, tries, trained, backward=backward, twins=matrices, scales=scales, extras=wanted.extras
            )
        except CannotRun as error:
            reason = str(error)
    if reason:
        why["forward"], why["grad"] = NotRun("forward", reason, True), NotRun("grad", reason)
    elif backward and seen.probe is not None and not seen.probe.has_gradients:
        said = "; ".join(seen.probe.unusual) or "no parameter is trained"
        why["grad"] = NotRun("grad", said)


def _file(path: str | Path, label: str, wanted: Wanted, clock: _Clock) -> tuple[Seen, dict[str, NotRun], dict[str, float]]:
    """A checkpoint: names and values, and nothing else."""
    tensors = tensors_of(path)
    seen = Seen(label, None, None)
    for one in tensors:
        tensor = tensors.read(one.key)
        moments = moments_of(tensor) if wanted.values and tensor.numel() else None
        matrix = _matrix(tensor, moments)
        rows = rows_of(matrix) if matrix is not None else None
        seen.tensors[one.key] = TensorSeen(one.key, tensor, None, moments, rows=rows)
    clock.lap("values")
    if "spectra" in wanted.extras and wanted.values:
        seen.spectra = spectra_of(seen)
        clock.lap("spectra")
    reason = "a file has values and no code"
    needs = ("construction", "rebuild", "meta", "forward", "grad", "model")
    return seen, {need: NotRun(need, reason) for need in needs}, clock.laps


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now
