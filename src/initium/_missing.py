"""What a checkpoint did not bring: the names that are left to a plan, so that no loaded tensor is touched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol, runtime_checkable

from ._inventory import Inventory


@runtime_checkable
class Loaded(Protocol):
    """What ``load_state_dict(strict=False)`` returns."""

    @property
    def missing_keys(self) -> list[str]:
        """The state_dict keys that were not loaded."""


class Missing(NamedTuple):
    """The state_dict keys that a loader left: ``plan.apply(model, only=missing)``.

    Args:
        missing_keys: those that no file had, or had in another shape.
        unexpected_keys: those that the model does not have.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


def not_loaded(inv: Inventory, missing: Iterable[str]) -> list[str]:
    """The missing keys without those whose tensor came under another name: it is tied to one that was loaded."""
    lost = set(missing)
    first = {slot.name: slot.tied_to or slot.name for slot in inv.slots}
    brought = {
        first[slot.name] for slot in inv.slots if slot.key not in lost and slot.computed is None and _stored(slot.key, inv)
    }
    tied = {slot.key for slot in inv.slots if first[slot.name] in brought}
    return [key for key in missing if key not in tied]


def _stored(key: str, inv: Inventory) -> bool:
    """Whether a loader could have brought it: buffers that are not persistent are in no state_dict."""
    slot = next(slot for slot in inv.slots if slot.key == key)
    return not (slot.is_buffer and slot.local in slot.module._non_persistent_buffers_set)
