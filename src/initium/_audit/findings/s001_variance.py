"""A tensor whose spread is not the one that its own initialisation declares.

What it does:
    Compares the measured variance with that of the declared law (of a truncated normal, its variance after the cut) by a z-test whose
    error over all tensors together is 1e-3, and asks for a difference of at least 2 %.

Why it is bad:
    The code says one number and the weights have another: a kernel in low precision, a cut that is not corrected, a scaling applied twice.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(256, 256, bias=False, dtype=torch.bfloat16)
            with torch.no_grad():  # a truncated normal by erfinv, in bfloat16
                self.first.weight.uniform_(-1, 1).erfinv_().mul_(0.02 * 2**0.5).clamp_(-2, 2)

        def forward(self, x):
            return self.first(x.bfloat16())

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(256, 256, bias=False)
            nn.init.trunc_normal_(self.first.weight, std=0.02, a=-0.04, b=0.04)
            self.to(torch.bfloat16)

        def forward(self, x):
            return self.first(x.bfloat16())

Fix safety:
    unsafe: the model may have been tuned with the values it really had.

References:
    timm's trunc_normal_ in bfloat16: std .0907 for .02; NVIDIA-NeMo/Megatron-Bridge #5840
"""

from __future__ import annotations

from collections.abc import Iterator

from ..judge import family_z, variance_z
from ..measure.seen import Seen
from ..registry import Hit, check


@check(
    "S001",
    "variance is not the declared one",
    "error",
    level="weights",
    needs=("construction",),
    fix="unsafe",
    explains=("S005", "N004"),
)
def find(seen: Seen) -> Iterator[Hit]:
    limit = family_z(len(seen.drawn))
    for one in seen.drawn:
        m, law = one.moments, one.law
        assert m is not None
        assert law is not None
        if m.size < 32:
            continue
        ratio = (m.std**2 + (m.mean - law.mean) ** 2) / law.std**2
        z = variance_z(ratio, law, m.size)
        few = 3 * (m.largest / law.std) ** 2 / m.size  # three values like the largest are S005, not a wrong variance
        if abs(z) > limit and abs(ratio - 1) > 0.04 and not 1 < ratio < 1.04 + few:
            yield Hit(
                one.name,
                f"its std is {m.std:.4g} where its initialisation declares {law.std:.4g} ({law})",
                "draw it in float32 and cast afterwards, or correct the std that is asked for",
                one.source,
            )
