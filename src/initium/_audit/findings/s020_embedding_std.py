"""An embedding of std 1 that is tied to the output layer.

What it does:
    Looks for embedding tables with a std over 0.5 that are also the weight of a Linear whose outputs, in the forward pass, have an rms over 3.

Why it is bad:
    The logits' std is then std · √d times the final norm's: 20 and more. The first loss is far above ln(vocabulary), and the
    first updates undo the initialisation.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(100, 64)
            self.mix = nn.Linear(64, 64)
            self.head = nn.Linear(64, 100, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, ids):
            return self.head(self.mix(self.tokens(ids)))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(100, 64)
            nn.init.normal_(self.tokens.weight, std=0.02)
            self.mix = nn.Linear(64, 64)
            self.head = nn.Linear(64, 100, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, ids):
            return self.head(self.mix(self.tokens(ids)))

Fix safety:
    unsafe: some models divide by √d before the output layer.

References:
    pytorch/pytorch #3121; speechbrain #926
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..._inventory import Slot
from ..measure.seen import Seen, TensorSeen
from ..registry import Hit, check


@check("S020", "tied embedding with std 1", "warning", level="forward", needs=("model",), fix="unsafe", explains=("P004",))
def find(seen: Seen) -> Iterator[Hit]:
    assert seen.inv is not None
    by_tensor: dict[str, list[Slot]] = {}
    for slot in seen.inv.slots:
        by_tensor.setdefault(slot.tied_to or slot.name, []).append(slot)
    logits = {signal.name: signal.rms for signal in seen.signals}
    for one in seen.parameters:
        users = by_tensor[one.name]
        heads = [slot.name.rpartition(".")[0] for slot in users if isinstance(slot.module, nn.Linear)]
        if not any(isinstance(slot.module, nn.Embedding) for slot in users):
            continue
        functional = not heads and _is_head(seen, one)
        if not heads and not functional:
            continue
        m, rms = one.moments, seen.probe.outputs[0] if functional and seen.probe else max(logits.get(h, 0.0) for h in heads)
        if m is not None and m.std > 0.5 and rms > 3:  # T5 and its kin divide by √d before the output layer
            yield Hit(
                one.name,
                f"its std is {m.std:.3g} and it is the output layer too: the logits' rms is {rms:.0f}",
                "nn.init.normal_(embedding.weight, std=0.02), or d ** -0.5",
                one.source,
            )


def _is_head(seen: Seen, table: TensorSeen) -> bool:
    """Whether the model puts out as many logits as the table has rows, and multiplies by the table: ``F.linear(x, embedding.weight)``."""
    probe = seen.probe
    if probe is None or probe.logits is None or table.name not in probe.uses.factors or table.name in probe.uses.in_out:
        return False
    return bool(probe.logits.shape[-1] == table.shape[0])
