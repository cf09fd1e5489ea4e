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

from collections.abc import Iterator

from ..measure.seen import Seen, TensorSeen
from ..registry import Hit, check


@check("P005", "the output ignores the input", "warning", level="forward")
def find(seen: Seen) -> Iterator[Hit]:
    probe = seen.probe
    if probe is None or not probe.signals or not probe.cosines or not abs(probe.input_cosine) < 0.95:
        return
    last = probe.signals[-1]
    head = seen.tensors.get(f"{last.name}.weight")
    if head is not None and head.moments is not None and head.moments.constant and head.moments.low == 0:
        return  # a head that starts at 0
    cosine = min(probe.cosines)
    apart = (2 * max(1 - cosine, 0.0)) ** 0.5
    scales = [one.moments.largest for one in seen.parameters if one.moments is not None and _is_small_scale(one)]
    if max(probe.outputs) > 1e-5 and cosine > 0.9 and apart < 1e-3 * min(scales, default=0.1) / 0.1:
        close = [s for s in probe.signals if s.cosine > 1 - 5e-7]
        yield Hit(
            close[0].name if close else last.name,
            f"the outputs for two independent inputs differ by {apart:.1e} of their size",
            "look where the signal is lost: a gain near 0, a large bias, attention without a residual stream",
        )


def _is_small_scale(one: TensorSeen) -> bool:
    """A LayerScale: a trained vector of one small value."""
    m = one.moments
    trained = one.slot is not None and one.slot.tensor.requires_grad
    return trained and m is not None and m.constant and 0 < m.largest < 0.1 and max(one.shape, default=1) == m.size
