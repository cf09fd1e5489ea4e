"""A state dict that was loaded and of which nothing fits.

What it does:
    Follows each load_state_dict of the constructor, and reports those with strict=False of which no name is the module's.

Why it is bad:
    strict=False says nothing: the model is as random as before. A prefix is the usual reason, ``module.`` of DataParallel, ``model.`` of a trainer.

Example:
    saved = {"module." + name: value for name, value in nn.Linear(32, 32).state_dict().items()}

    class Model(nn.Linear):
        def __init__(self):
            super().__init__(32, 32)
            self.load_state_dict(saved, strict=False)

Use instead:
    saved = {"module." + name: value for name, value in nn.Linear(32, 32).state_dict().items()}

    class Model(nn.Linear):
        def __init__(self):
            super().__init__(32, 32)
            self.load_state_dict({name.removeprefix("module."): value for name, value in saved.items()})

Fix safety:
    none: strip the prefix, and load with strict=True, or look at what load_state_dict returns.

References:
    checkpoints saved from DataParallel, FSDP, torch.compile or a trainer
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("K003", "nothing was loaded", "error", level="static", needs=("construction", "model"))
def find(seen: Seen) -> Iterator[Hit]:
    for load in seen.built.loads if seen.built is not None else ():
        if load.fit == 0:
            yield Hit(
                "",
                f"{load.kind}.load_state_dict was given {load.given} names and took none: "
                f"it has no {load.first!r}, but {load.own!r}",
                "strip the prefix; look at what load_state_dict(strict=False) returns",
                str(load.site),
            )
