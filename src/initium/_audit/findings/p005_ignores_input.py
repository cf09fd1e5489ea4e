"""An output that does not depend on the input.

What it does:
    Compares the outputs for two independent inputs; reports where they differ by less than a thousandth of their size. With trained scales
    that start small (LayerScale) they may differ by a hundredth of the smallest one.

Why it is bad:
    There is nothing to learn from: the information has been lost on the way, to a rank collapse or to a bias that drowns it.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            nn.init.normal_(self.first.weight, std=1e-3)
            nn.init.constant_(self.first.bias, 100.0)
            self.last = nn.Linear(64, 64)

        def forward(self, x):
            return self.last(self.first(x))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            self.last = nn.Linear(64, 64)

        def forward(self, x):
            return self.last(self.first(x))

Fix safety:
    none: it depends on the layers before.

References:
    transformers' BlipVisionModel from its default configuration
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..measure.seen import Seen, TensorSeen
from ..registry import Hit, check

_CODEBOOK = re.compile(r"codebook|quanti[sz]|(^|[._])(vq|rvq)([._]|$)")


@check("P005", "the output ignores the input", "warning", level="forward")
def find(seen: Seen) -> Iterator[Hit]:
    probe = seen.probe
    if probe is None or not probe.signals or not probe.apart or not abs(probe.input_cosine) < 0.95:
        return
    last = probe.signals[-1]
    head = seen.tensors.get(f"{last.name}.weight")
    if head is not None and head.moments is not None and head.moments.constant and head.moments.low == 0:
        return  # a head that starts at 0
    apart, numbers = max(probe.apart)
    scales = [one.moments.largest for one in seen.parameters if one.moments is not None and _is_small_scale(one)]
    chance = 1e-3 if numbers > 1 else 1e-6  # one number comes that close to another once in a while
    if max(probe.outputs) > 1e-5 and apart < chance * min(scales, default=0.1) / 0.1:
        close = [s for s in probe.signals if s.cosine > 1 - 5e-7]
        where = close[0] if close else last
        before = max((s.order for s in probe.signals if s.order < where.order), default=None)
        behind = "" if before is None else f"; the signal is lost behind {probe.signals[before].name}"
        codebook = next((one.name for one in seen.sound if _is_empty_codebook(one)), None)
        if codebook is not None:
            yield Hit(
                codebook,
                f"it is 0 until it is fitted or loaded, and the outputs for independent inputs differ by {apart:.1e} of their size till then",
                "load it, or fit it by k-means on the first batch; a model that is trained from here starts with it drawn",
                severity="info",
            )
            return
        yield Hit(
            where.name,
            f"the outputs for independent inputs differ by {apart:.1e} of their size{behind}",
            "look where the signal is lost: a gain near 0, a large bias, attention without a residual stream",
        )


def _is_small_scale(one: TensorSeen) -> bool:
    """A LayerScale, a trained vector of one small value; or a table that starts small, as of hashed features."""
    m = one.moments
    if m is not None and one.layout.role == "embedding":
        return 0 < m.largest < 0.1
    trained = one.slot is not None and one.slot.tensor.requires_grad
    return trained and m is not None and m.constant and 0 < m.largest < 0.1 and max(one.shape, default=1) == m.size


def _is_empty_codebook(one: TensorSeen) -> bool:
    """A table of a vector quantiser that is all 0: a buffer, as it is moved by averages and not by gradients."""
    m = one.moments
    named = _CODEBOOK.search(one.name.lower())
    return one.is_buffer and len(one.shape) >= 2 and m is not None and m.constant and m.low == 0 and named is not None
