"""A value that the declared law cannot have drawn.

What it does:
    For each tensor with a declared law, compares the largest deviation with what the law allows: its bounds, or the quantile that no
    element of the model exceeds in 999 of 1,000 models of this size.

Why it is bad:
    A sampler that hits the end of its range returns infinity, which a clamp turns into a weight of a hundred standard deviations. One of them
    moves the largest singular value of a matrix more than all the others together.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            nn.init.normal_(self.first.weight, std=0.02)
            self.first.weight.data.view(-1).numpy()[7] = 2.0  # what an inf, clamped, leaves

        def forward(self, x):
            return self.first(x)

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            nn.init.trunc_normal_(self.first.weight, std=0.02, a=-0.04, b=0.04)

        def forward(self, x):
            return self.first(x)

Fix safety:
    unsafe: it draws the tensor anew.

References:
    pytorch/pytorch #145498, #155588; pytorch/torchtitan #2269; timm.layers.trunc_normal_
"""

from __future__ import annotations

from collections.abc import Iterator

from ..judge import furthest
from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "S005",
    "a value that the law cannot draw",
    "error",
    level="weights",
    needs=("construction",),
    fix="unsafe",
    explains=("S022", "S023"),
)
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.drawn:
        m, law = one.moments, one.law
        assert m is not None
        assert law is not None
        core = law.core if law.core > 0 else law.std
        beyond = max(law.high - law.mean, law.mean - law.low) / core
        allowed = beyond * 1.02
        if law.kind != "uniform":
            allowed = min(allowed, 1.02 * furthest(len(seen.drawn), m.size))
        out = max(m.high - law.mean, law.mean - m.low) / core
        if out > allowed:
            value = m.high if m.high - law.mean > law.mean - m.low else m.low
            yield Hit(
                one.name,
                f"it holds {value:.4g}, {out:.0f} standard deviations out: {law} does not draw that",
                "use a sampler that cannot return the end of its range: initium.init.trunc_normal_, or torch's of 2.12 and later",
                one.source,
            )
