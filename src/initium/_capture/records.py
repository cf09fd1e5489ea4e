"""What is known of one storage while a constructor runs, and what follows from a new write to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from .._tuples import from_fields
from .sites import Site
from .values import Fill, Known, Nothing, State, View, What

# The method itself: while a constructor runs, reads.py stands before its name
storage_of: Callable[[Tensor], torch.UntypedStorage] = Tensor.untyped_storage


class Record:
    """One storage: what it holds, who wrote it, and whose writes were lost."""

    __slots__ = ("fresh", "overridden", "shown", "site", "state", "weak")

    def __init__(self, storage: torch.UntypedStorage) -> None:
        self.weak = StorageWeakRef(storage)
        self.state: State | None = None  # None: the memory says what it holds
        self.fresh = True  # whether the memory agrees with the state
        self.site: Site | None = None
        self.overridden: list[tuple[Site, What]] = []
        self.shown: Tensor | None = None  # what a numpy array of it showed, to tell later writes through that


class Event(NamedTuple):
    """Something recorded, to compare two runs."""

    what: str
    shape: tuple[int, ...]
    site: Site


as_event = from_fields(Event)


def covers(tensor: Tensor) -> bool:
    """Whether a tensor shows every element of its storage."""
    return tensor.numel() * tensor.element_size() == storage_of(tensor).nbytes()


def is_covered(under: State, view: View, total: int) -> bool:
    """Whether the writes above blank memory, with one more, leave nothing of it to be seen. Looks each time a total is full."""
    if (under.written + view.numel) // total == under.written // total or total > _MASKED:
        return False
    lowest, *above = under.writes()
    if not isinstance(lowest.what, Nothing) or any(write.what_undefined for write in above):
        return False
    views = [*(write.view for write in above), view]
    if any(one.dtype != view.dtype for one in views):
        return False
    mask = torch.zeros(total, dtype=torch.bool, device="cpu")
    for one in views:
        mask.as_strided(one.shape, one.stride, one.offset).fill_(True)
    return bool(mask.all())


def filled_below(state: State) -> State:
    """The same writes on zeros: what lies at the bottom is not seen any more."""
    lowest, *above = state.writes()
    found = State(None, lowest.view, Fill(0))
    for write in above:
        found = State(found, write.view, write.what)
    return found


_MASKED = 1 << 31  # elements up to which blank memory is looked for, a byte each


def snapshot(tensor: Tensor) -> State:
    """A storage's memory as it is, as the lowest write."""
    storage = storage_of(tensor)
    count = storage.nbytes() // tensor.element_size()
    flat = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(storage, 0, (count,), (1,)).clone()
    return State(None, View.of(flat), Known(flat))
