"""One std for layers of very different fan-in.

What it does:
    Groups weights that the model's own code drew from one law, and reports a std that stands over fans that differ by four or more.

Why it is bad:
    A sum over n terms grows as √n: with one std the widest layer is louder than the narrowest by the root of the ratio. BERT's and GPT-2's 0.02
    is a choice of this kind, for one width.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(32, 512), nn.Linear(512, 32)
            for layer in (self.up, self.down):
                nn.init.normal_(layer.weight, std=0.05)

        def forward(self, x):
            return self.down(torch.relu(self.up(x)))

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(32, 512), nn.Linear(512, 32)
            for layer in (self.up, self.down):
                nn.init.kaiming_normal_(layer.weight)

        def forward(self, x):
            return self.down(torch.relu(self.up(x)))

Fix safety:
    unsafe: a published recipe may say so.

References:
    Devlin and others 2018; Radford and others 2019; Nguyen and Salazar 2019
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen, TensorSeen
from ..registry import Hit, check


@check("S012", "std blind to fan", "info", level="static", preview=True, needs=("construction", "model"), fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    by_std: dict[float, list[tuple[int, TensorSeen]]] = {}
    for one in seen.tensors.values():
        law, fans, write = one.law, one.fans, one.write
        if law is None or not law.known or fans is None or one.computed or write is None:
            continue
        if write.call is None or write.call.by_module or write.call.name not in ("normal_", "trunc_normal_", "uniform_"):
            continue
        by_std.setdefault(float(f"{law.std:.6g}"), []).append((fans[0], one))
    for std, members in by_std.items():
        outs = [one.fans[1] for _, one in members if one.fans is not None]
        if max(outs) < 4 * min(outs):
            continue  # drawn by fan_out
        low, high = min(members, key=lambda m: m[0]), max(members, key=lambda m: m[0])
        if high[0] >= 4 * low[0]:
            yield Hit(
                high[1].name,
                f"std {std:.3g} over fans of {low[0]:,} to {high[0]:,}: gains of {std * low[0] ** 0.5:.2g} to {std * high[0] ** 0.5:.2g}",
                "std = gain / √fan_in: initium.recipe('lecun') or 'he'",
                high[1].source,
                names=tuple(one.name for _, one in members),
            )
