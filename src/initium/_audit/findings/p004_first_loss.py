"""A first loss far above that of guessing.

What it does:
    The mean cross entropy of the head's logits over all classes, against ln C; reports more than one nat.

Why it is bad:
    A head whose logits have a std of 2 and more is confident before it has seen anything; the first updates only undo that.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(64, 128), nn.LayerNorm(128))
            self.head = nn.Linear(128, 10)
            nn.init.normal_(self.head.weight, std=0.4)

        def forward(self, x):
            return self.head(self.body(x))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(64, 128), nn.LayerNorm(128))
            self.head = nn.Linear(128, 10)
            nn.init.normal_(self.head.weight, std=0.01)

        def forward(self, x):
            return self.head(self.body(x))

Fix safety:
    none: draw the head smaller, or begin it at 0.

References:
    Karpathy, A Recipe for Training Neural Networks: "verify loss @ init"
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn

from ..._structure.names import calls_itself_head
from ..measure.seen import Seen
from ..registry import Hit, check


@check("P004", "first loss far above ln C", "warning", level="forward")
def find(seen: Seen) -> Iterator[Hit]:
    if seen.probe is None or seen.probe.logits is None or not seen.signals:
        return
    logits, last = seen.probe.logits, seen.signals[-1]
    head = dict(seen.modules()).get(last.name)
    if (
        not isinstance(head, nn.Linear)
        or head.out_features != logits.shape[-1]
        or not calls_itself_head(last.name)
        or logits.shape[-1] < 2
    ):
        return
    if any(isinstance(one, nn.Embedding) and one.weight is head.weight for _, one in seen.modules()):
        return  # the logit of the token itself is large there, as it is meant to be: S020 judges it
    excess = float((logits.logsumexp(1) - logits.mean(1)).mean()) - math.log(logits.shape[-1])
    if math.isfinite(excess) and excess > 1.0:
        yield Hit(
            last.name,
            f"the first loss is {excess:.1f} nats above ln {logits.shape[-1]}: its logits have a std of {float(logits.std()):.2g}",
            "draw the head smaller, e.g. nn.init.normal_(head.weight, std=0.01)",
        )
