"""A tensor that a checkpoint did not bring.

What it does:
    Where the constructor loads a state dict, lists the trained tensors that it did not fill.

Why it is bad:
    ``strict=False`` says nothing of a key that is spelt otherwise; the tensor keeps its random start.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(32, 32), nn.Linear(32, 32)
            self.load_state_dict({"first.weight": torch.eye(32), "first.bias": torch.zeros(32)}, strict=False)

        def forward(self, x):
            return self.second(self.first(x))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(32, 32), nn.Linear(32, 32)
            self.load_state_dict({name: torch.randn_like(p) / 9 for name, p in self.named_parameters()})

        def forward(self, x):
            return self.second(self.first(x))

Fix safety:
    none: a new head is meant to be random: say initium.expect(…).

References:
    huggingface/transformers #35437
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("K002", "not in the checkpoint", "info", level="static", needs=("construction", "model"))
def find(seen: Seen) -> Iterator[Hit]:
    trained = [one for one in seen.tensors.values() if not one.is_buffer and one.trace is not None and not one.computed]
    loaded = [one for one in trained if any(write.loaded for write in one.trace.writes)]  # type: ignore[union-attr]
    if not loaded:
        return
    for one in trained:
        if one not in loaded and one.tensor is not None:
            yield Hit(
                one.name,
                f"the state dict that filled {len(loaded)} others did not bring it",
                "see whether its key is spelt otherwise",
            )
