"""The padding row of an embedding that is not zero.

What it does:
    Reads the row ``padding_idx`` of each embedding.

Why it is bad:
    torch sets it to 0 in the constructor, and any later initialisation draws it. It gets no gradient, so it stays as it is for ever, and goes
    into every sum and mean over a padded sequence.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(50, 32, padding_idx=0)
            nn.init.normal_(self.tokens.weight, std=0.02)
            self.mix = nn.Linear(32, 32)

        def forward(self, ids):
            return self.mix(self.tokens(ids))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(50, 32, padding_idx=0)
            nn.init.normal_(self.tokens.weight, std=0.02)
            with torch.no_grad():
                self.tokens.weight[0] = 0
            self.mix = nn.Linear(32, 32)

        def forward(self, ids):
            return self.mix(self.tokens(ids))

Fix safety:
    safe: it is what the class itself does.

References:
    pytorch/pytorch #6495; microsoft/Graphormer #41; facebookresearch/fairseq #4076
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..measure.seen import Seen
from ..registry import Hit, check


@check("C003", "padding row is not zero", "warning", level="weights", needs=("model",), fix="safe")
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.parameters:
        module = one.module
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and one.local == "weight" and one.tensor is not None:
            row = module.padding_idx
            if row is not None and row < one.tensor.shape[0] and bool((one.tensor[row] != 0).any()):
                rms = float(one.tensor[row].float().square().mean().sqrt())
                yield Hit(
                    one.name,
                    f"row {row} is the padding and holds values of rms {rms:.2g}; it gets no gradient, so it keeps them",
                    f"with torch.no_grad(): weight[{row}] = 0 after the initialisation",
                    one.source,
                )
