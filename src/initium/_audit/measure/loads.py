"""Which state dicts were loaded while a model was built, and whether their names fit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn

from ..._capture.sites import Site, look


class Load(NamedTuple):
    """One call of ``load_state_dict``.

    Args:
        kind: the module's class; given: names in the state dict; fit: how many of them the module has.
        first, own: a name that was given, and one that the module has.
        site: the line.
    """

    kind: str
    given: int
    fit: int
    first: str
    own: str
    site: Site


@contextlib.contextmanager
def watching_loads() -> Iterator[list[Load]]:
    """Every ``load_state_dict`` inside is noted, and runs as always; ones that a module passes on are noted once."""
    loads: list[Load] = []
    original = nn.Module.load_state_dict

    def load_state_dict(self: nn.Module, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        given = list(state_dict) if isinstance(state_dict, dict) else []
        own = [name for name, _ in (*self.named_parameters(), *self.named_buffers())]
        site, _ = look()
        if given and own:
            fit = len(set(given) & set(own))
            loads.append(Load(type(self).__name__, len(given), fit, str(given[0]), own[0], site))
        return original(self, state_dict, *args, **kwargs)

    nn.Module.load_state_dict = load_state_dict  # type: ignore[method-assign]
    try:
        yield loads
    finally:
        nn.Module.load_state_dict = original  # type: ignore[method-assign]
