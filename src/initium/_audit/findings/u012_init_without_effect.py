"""An initialisation that went into a tensor the model does not use.

What it does:
    Looks for init functions, and draws in place over computed values, whose result is no part of the finished model and went into none.

Why it is bad:
    It looks like an initialisation and is none: the weight keeps what it had. A parametrised weight (``weight_norm``) is computed anew
    by each access or forward pass, so what is written to it is thrown away.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.utils.parametrizations.weight_norm(nn.Linear(32, 32))
            nn.init.normal_(self.first.weight, std=0.01)

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            first = nn.Linear(32, 32)
            nn.init.normal_(first.weight, std=0.01)
            self.first = nn.utils.parametrizations.weight_norm(first)

        def forward(self, x):
            return self.first(x)

Fix safety:
    unsafe: the model has been trained with what it really had; ``initium.initialize`` writes through the parametrisation.

References:
    pytorch/pytorch #180968; jik876/hifi-gan #145; transformers' Wav2Vec2 and its relatives
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.construct import Lost
from ..measure.seen import Seen
from ..registry import Hit, check

COPIES = frozenset(
    {
        "index",
        "index_select",
        "gather",
        "masked_select",
        "clone",
        "_to_copy",
        "repeat",
        "cat",
        "stack",
        "take",
        "where",
        "contiguous",
    }
)


def place(seen: Seen, lost: Lost) -> str:
    """The tensor that was meant: the computed weight, else what it was computed from."""
    for name in lost.names:
        slot = seen.tensors[name].slot if name in seen.tensors else None
        if slot is not None and slot.derived_from is not None:
            return slot.derived_from
    return lost.names[0] if lost.names else ""


@check("U012", "an init that did nothing", "error", level="static", needs=("construction", "model"), fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    by_place: dict[object, list[Lost]] = {}
    for lost in sorted(seen.lost, key=lambda one: one.write.order):
        if lost.made_by not in COPIES:
            name = place(seen, lost)
            by_place.setdefault(name or (lost.function, str(lost.write.site)), []).append(lost)
    for writes in by_place.values():  # several lines in turn wanted to fill one weight: the last would have had its way
        last = writes[-1]
        shape = "×".join(map(str, last.shape)) or "()"
        others = tuple(dict.fromkeys(str(one.write.site) for one in writes[:-1] if one.write.site != last.write.site))
        also = f", as what {' and '.join(others[:2])} wrote before it" if others else ""
        fate = "is computed anew before it is used" if place(seen, last) else "is no part of it"
        yield Hit(
            place(seen, last),
            f"{last.function} wrote to a tensor of {shape} that {fate}{also}: the model does not change",
            "initialise the weight before it is parametrised, or assign to it (module.weight = values); initium.initialize does so",
            str(last.write.site),
        )
