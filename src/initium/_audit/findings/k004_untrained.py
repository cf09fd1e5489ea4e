"""A matrix without structure among trained ones.

What it does:
    Where four in five of a model's matrices, and five of them, have singular values far beyond what random elements give, it reports those that
    have none.

Why it is bad:
    Training leaves spikes in the spectrum. A matrix without any is most often one that a checkpoint did not bring, or that was drawn again after
    it.

Example:
    torch.manual_seed(0)
    Model = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(8)))
    with torch.no_grad():
        for layer in Model[:7]:  # what training does
            layer.weight.add_(torch.randn(64, 1) @ torch.randn(1, 64) / 8)

Use instead:
    torch.manual_seed(0)
    Model = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(8)))
    with torch.no_grad():
        for layer in Model:
            layer.weight.add_(torch.randn(64, 1) @ torch.randn(1, 64) / 8)

Fix safety:
    none: load it.

References:
    Martin and Mahoney 2021, read the other way round
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("K004", "untrained among trained", "warning", level="weights", preview=True, needs=("spectra",))
def find(seen: Seen) -> Iterator[Hit]:
    known = {name: max(parts, key=lambda part: part.edge) for name, parts in seen.spectra.items()}
    known = {name: one for name, one in known.items() if one.short >= 32}
    trained = [name for name, one in known.items() if one.edge > 20 and one.beyond > 1.1]
    if len(trained) < 5 or len(trained) < 0.8 * len(known):
        return
    for name, one in known.items():
        if one.edge < 4:
            yield Hit(
                name,
                f"its singular values are those of a random matrix, and {len(trained)} of {len(known)} others' are not",
                "see whether the checkpoint has it, and whether anything draws it after the load",
                seen.tensors[name].source,
            )
