"""One layer that stands several times in a list.

What it does:
    Looks for a module with parameters that occurs more than once in one Sequential or ModuleList.

Why it is bad:
    ``[layer] * n`` repeats one layer n times: the model has the parameters of one.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*[nn.Linear(32, 32)] * 4)

        def forward(self, x):
            return self.layers(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(32, 32) for _ in range(4)))

        def forward(self, x):
            return self.layers(x)

Fix safety:
    none: sharing may be meant: say initium.expect(…).

References:
    ``[layer] * n``
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..measure.seen import Seen
from ..registry import Hit, check


@check("T002", "one layer several times in a list", "warning", level="static", needs=("model",), explains=("Y0",))
def find(seen: Seen) -> Iterator[Hit]:
    said = getattr(seen.model, "_tied_weights_keys", None)
    declared = [*map(str, said), *(map(str, said.values()) if isinstance(said, dict) else ())] if said else []
    for path, module in seen.modules():
        if not isinstance(module, (nn.Sequential, nn.ModuleList)):
            continue
        counts: dict[nn.Module, list[str]] = {}
        for name, child in module._modules.items():
            if child is not None:
                counts.setdefault(child, []).append(f"{path}.{name}" if path else name)
        for child, names in counts.items():
            if (
                len(names) > 1
                and any(True for _ in child.parameters())
                and not any(path and path.split(".")[-1] in d for d in declared)
            ):
                yield Hit(
                    names[0],
                    f"the same {type(child).__name__} stands {len(names)} times in {path or 'the model'}: one set of parameters",
                    "build a layer each: nn.Sequential(*(make() for _ in range(n)))",
                    names=tuple(names),
                )
