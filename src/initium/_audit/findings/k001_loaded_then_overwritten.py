"""A loaded value that was overwritten by an initialisation.

What it does:
    Watches ``load_state_dict`` during the construction; reports tensors that are drawn or filled after it.

Why it is bad:
    The checkpoint was read for nothing. It trains, from a random start, and nobody is told.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(32, 32), nn.Linear(32, 32)
            self.load_state_dict({name: torch.randn_like(p) / 9 for name, p in self.named_parameters()})
            nn.init.xavier_uniform_(self.second.weight)

        def forward(self, x):
            return self.second(self.first(x))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(32, 32), nn.Linear(32, 32)
            nn.init.xavier_uniform_(self.second.weight)
            self.load_state_dict({name: torch.randn_like(p) / 9 for name, p in self.named_parameters()})

        def forward(self, x):
            return self.second(self.first(x))

Fix safety:
    safe: load last.

References:
    huggingface/transformers #46620, #45591
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "K001", "loaded value overwritten", "error", level="static", needs=("construction", "model"), fix="safe", explains=("K002",)
)
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.tensors.values():
        writes = one.trace.writes if one.trace is not None else []
        loaded = max((i for i, write in enumerate(writes) if write.loaded), default=None)
        if loaded is None:
            continue
        after = next((w for w in writes[loaded + 1 :] if w.whole and (w.call is not None or w.random)), None)
        if after is not None:
            said = after.call.name if after.call is not None else after.op
            yield Hit(
                one.name, f"it was loaded, and {said} wrote over it afterwards", "initialise first, load last", str(after.site)
            )
