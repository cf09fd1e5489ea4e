"""A router that sends every token to the same experts.

What it does:
    Looks at top-k choices in modules that call themselves router, gate, expert or MoE, and reports an expert that is chosen for more than 95 % of 32
    or more tokens, where no more than half are chosen each time.

Why it is bad:
    The others get no gradient, and the one that is chosen gets better: it stays so. A bias drawn large, or a router behind a signal whose mean is
    larger than its spread, does it.

Example:
    class MoE(nn.Module):
        def __init__(self):
            super().__init__()
            self.router = nn.Linear(32, 8)
            self.experts = nn.ModuleList(nn.Linear(32, 32) for _ in range(8))
            nn.init.normal_(self.router.bias, std=10.0)

        def forward(self, x):
            weights, chosen = self.router(x).softmax(-1).topk(2, -1)
            outputs = torch.stack([expert(x) for expert in self.experts], -2)
            return (outputs.gather(-2, chosen[..., None].expand(*chosen.shape, 32)) * weights[..., None]).sum(-2)

    inputs = torch.randn(256, 32)
    Model = MoE

Use instead:
    class MoE(nn.Module):
        def __init__(self):
            super().__init__()
            self.router = nn.Linear(32, 8, bias=False)
            self.experts = nn.ModuleList(nn.Linear(32, 32) for _ in range(8))
            nn.init.normal_(self.router.weight, std=0.1)

        def forward(self, x):
            weights, chosen = self.router(x).softmax(-1).topk(2, -1)
            outputs = torch.stack([expert(x) for expert in self.experts], -2)
            return (outputs.gather(-2, chosen[..., None].expand(*chosen.shape, 32)) * weights[..., None]).sum(-2)

    inputs = torch.randn(256, 32)
    Model = MoE

Fix safety:
    unsafe: a router of one's own.

References:
    Shazeer and others 2017; Fedus and others 2021
"""

from __future__ import annotations

from collections.abc import Iterator

from ..measure.seen import Seen
from ..registry import Hit, check


@check("D013", "collapsed router", "warning", level="forward", preview=True, needs=("within",), fix="unsafe")
def find(seen: Seen) -> Iterator[Hit]:
    for one in seen.within.routings:
        most = max(one.counts)
        if one.tokens >= 32 and len(one.counts) >= 2 * one.chosen and most > 0.95 * one.tokens:
            empty = sum(count == 0 for count in one.counts)
            yield Hit(
                one.name,
                f"expert {one.counts.index(most)} is chosen for {most / one.tokens:.0%} of {one.tokens} tokens, and {empty} of "
                f"{len(one.counts)} experts for none",
                "draw the router small, without a bias, and normalise what goes into it",
            )
