"""Everything that was measured of one model, for findings to judge and for figures to show. Nothing here decides what is wrong."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

from ..._capture.sites import Site
from ..._fans import Layout
from ..._grouping import without_indices
from ..._inventory import Inventory, Slot
from .construct import Construction, Lost
from .law import Law
from .likeness import Rows
from .moments import Moments
from .probe import Probe, Signal
from .watch import InitCall, Trace, Write
from .within import Within

if TYPE_CHECKING:
    from .spectra import Spectrum


class TensorSeen(NamedTuple):
    """One tensor of the model.

    Args:
        name: canonical full name; of a file the key.
        tensor: its values; None where they cannot be read (meta).
        slot: what it is on the model; None for a file.
        moments: of its values, or None at level ``static``.
        trace: who wrote it, where the construction was observed.
        unfilled: elements that nobody filled.
        rows: rows that stand out, of a matrix.
    """

    name: str
    tensor: Tensor | None
    slot: Slot | None
    moments: Moments | None = None
    trace: Trace | None = None
    unfilled: int = 0
    rows: Rows | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (
            tuple(self.tensor.shape) if self.slot is None and self.tensor is not None else self.slot.shape if self.slot else ()
        )

    @property
    def layout(self) -> Layout:
        return self.slot.layout if self.slot is not None else Layout()

    @property
    def module(self) -> nn.Module | None:
        return self.slot.module if self.slot is not None else None

    @property
    def local(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def is_buffer(self) -> bool:
        return self.slot is not None and self.slot.is_buffer

    @property
    def derived_garbage(self) -> bool:
        """Computed from memory that nobody had filled: NaN, by an operation that is no mere copy."""
        trace, m = self.trace, self.moments
        if trace is None or not trace.parents or not (self.unfilled or (m is not None and m.nan)):
            return False
        last = trace.last
        return last is not None and last.op not in ("clone", "_to_copy", "copy_") and trace.from_blank

    @property
    def original(self) -> bool:
        """One of the tensors that a computed weight is made from."""
        return self.slot is not None and self.slot.derived_from is not None

    @property
    def computed(self) -> bool:
        """A weight that is computed from others."""
        return self.slot is not None and self.slot.computed is not None

    @property
    def law(self) -> Law | None:
        """What its writes declare."""
        return self.trace.law if self.trace is not None else None

    @property
    def write(self) -> Write | None:
        """The write that decided its values."""
        return self.trace.drawn_by if self.trace is not None else None

    @property
    def call(self) -> InitCall | None:
        """The init function that decided its values, if one did."""
        return self.write.call if self.write is not None else None

    @property
    def random(self) -> bool:
        """Drawn from a generator; where nobody watched, told by its values."""
        if self.trace is not None and (self.trace.writes or self.trace.blank):
            return self.trace.random or (self.trace.blank and not self.trace.writes and not self.unfilled)
        return self.moments is not None and not self.moments.constant and self.moments.various

    @property
    def fans(self) -> tuple[int, int] | None:
        """(fan_in, fan_out) of one logical weight, where it is a weight with at least two axes."""
        if self.slot is None or len(self.shape) < 2 or self.layout.role != "weight" or self.is_buffer:
            return None
        return self.layout.fans(self.layout.block_shapes(self.shape)[0])

    @property
    def source(self) -> str | None:
        """The line of code that decided it: ``file:line function``."""
        if self.trace is None:
            return None
        write = self.write
        site = write.site if write is not None else self.trace.made
        return _said(site, os.getcwd()) if site is not None else None


@functools.lru_cache(maxsize=1024)
def _said(site: Site, here: str) -> str:
    """A line in words; many tensors come from one, and paths are shown from the folder one is in."""
    return str(site)


@dataclass
class Seen:
    """What was measured.

    Args:
        label: what messages call the model.
        model, inv: the model; None for a file.
        tensors: by name, ties once, in model order.
        built: how it was constructed, if that was observed.
        lost: initialisations that went nowhere.
        unlike_itself: names that a second build from the same seed filled otherwise; None if there was none.
        unmoved: names of drawn parameters that a build from another seed filled the same; None if there was none.
        missed: tensors that the library's way to fill a meta model leaves out, and that way; None if not tried.
        otherwise_on_meta: buffers that this way fills with other values, and by how much.
        probe: the forward and backward pass, if there was one.
        spectra: by name, of each logical weight, where they were asked for.
    """

    label: str
    model: nn.Module | None
    inv: Inventory | None
    tensors: dict[str, TensorSeen] = field(default_factory=dict)
    built: Construction | None = None
    lost: list[Lost] = field(default_factory=list)
    unlike_itself: list[str] | None = None
    unmoved: list[str] | None = None
    missed: tuple[list[str], str] | None = None
    otherwise_on_meta: dict[str, float] = field(default_factory=dict)
    probe: Probe | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    spectra: dict[str, list[Spectrum]] = field(default_factory=dict)

    @functools.cached_property
    def sound(self) -> list[TensorSeen]:
        """Tensors with values that somebody filled: what findings other than U look at."""
        return [
            one for one in self.tensors.values() if not one.unfilled and not one.derived_garbage and one.moments is not None
        ]

    @functools.cached_property
    def parameters(self) -> list[TensorSeen]:
        """Sound parameters that are not the originals of a computed weight."""
        return [one for one in self.sound if not one.is_buffer and not one.original]

    @functools.cached_property
    def weights(self) -> list[TensorSeen]:
        """Sound weights with at least two axes, as the forward pass uses them."""
        return [one for one in self.parameters if len(one.shape) >= 2 and one.layout.role == "weight"]

    @functools.cached_property
    def drawn(self) -> list[TensorSeen]:
        """Sound parameters whose writes declare a law with a variance."""
        return [one for one in self.parameters if one.law is not None and one.law.known and not one.computed]

    @property
    def within(self) -> Within:
        """What the forward pass did between its layers; empty where that was not asked for."""
        found = self.probe.within if self.probe is not None else None
        return found if found is not None else Within({})

    @property
    def signals(self) -> list[Signal]:
        return self.probe.signals if self.probe is not None else []

    def stacks(self, size: Callable[[Signal], float]) -> list[dict[str, float]]:
        """For layers of one kind whose names differ in indices alone: name -> size at the first call, where that is positive and finite."""
        found: dict[tuple[str, str], dict[str, float]] = {}
        for signal in self.signals:
            if 0 < size(signal) < math.inf:
                found.setdefault((without_indices(signal.name), signal.kind), {}).setdefault(signal.name, size(signal))
        return list(found.values())

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """(full name, module)."""
        yield from self.inv.modules if self.inv is not None else ()

    @functools.cached_property
    def by_owner(self) -> Mapping[str, list[TensorSeen]]:
        """Module name -> its own tensors."""
        found: dict[str, list[TensorSeen]] = {}
        for one in self.tensors.values():
            found.setdefault(one.name.rpartition(".")[0], []).append(one)
        return found
