"""How often a correct model of 10,000 tensors gets a finding: ``python tools/false_alarms.py [MODELS] [--tensors N] [--first SEED]``.

One model of that many small tensors is built under observation: Linear, Conv2d, Embedding and norm layers and bare parameters, by
torch's own constructors and by ``torch.nn.init``'s normal, uniform, truncated, Xavier and Kaiming laws, biases among them, sizes
from 16 to 1,152 elements (small tensors are the hard case: their moments scatter most). For each seed all values are then drawn anew, each
tensor's by the law that its own writes declare, everything is measured again, and every check of the level weights that is no preview
judges it (those of the level static, which see no values, once). What needs a second build is left out. The promise: clean in 999 of 1,000.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

import torch
from torch import Tensor, nn

from initium._audit.measure.collect import measured_tensors
from initium._audit.measure.construct import run_constructor
from initium._audit.measure.law import Law
from initium._audit.measure.seen import Seen
from initium._audit.registry import Check, selected
from initium._inventory import inventory


class Block(nn.Module):
    """Twelve tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.plain, self.xavier, self.cut = nn.Linear(24, 32), nn.Linear(32, 16), nn.Linear(16, 48)
        self.conv, self.norm = nn.Conv2d(8, 16, 3), nn.LayerNorm(16)
        self.tokens = nn.Embedding(20, 16)
        self.shift = nn.Parameter(nn.init.uniform_(torch.empty(40), -0.1, 0.1))
        nn.init.xavier_uniform_(self.xavier.weight)
        nn.init.trunc_normal_(self.cut.weight, std=0.02, a=-0.04, b=0.04)
        nn.init.zeros_(self.cut.bias)
        nn.init.kaiming_normal_(self.conv.weight)
        nn.init.normal_(self.tokens.weight, std=0.02)


class Model(nn.Module):
    """A stack of blocks: groups of siblings as large as they get."""

    def __init__(self, tensors: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(math.ceil(tensors / 12)))


def drawn(law: Law, size: int, generator: torch.Generator) -> Tensor:
    """So many values of a law."""
    if law.kind == "normal":
        return torch.empty(size).normal_(law.mean, law.std, generator=generator)
    if law.kind == "uniform":
        return torch.empty(size).uniform_(law.low, law.high, generator=generator)
    assert law.kind == "truncated", law
    return nn.init.trunc_normal_(torch.empty(size), 0.0, law.core, law.low, law.high, generator=generator)


def found(tensors: int, seeds: range) -> Iterator[Counter[str]]:
    """Of each seed, how many findings of which code."""
    built = run_constructor(lambda: Model(tensors), 0)
    inv = inventory(built.model)
    chosen = [one for one in selected(None, None, False) if one.level in ("static", "weights") and _can(one)]
    by_law: dict[Law, list[Tensor]] = {}
    for slot in inv.slots:
        trace = built.trace(slot.tensor)
        assert trace is not None
        assert trace.law is not None, slot.name
        if trace.law.kind != "constant":
            by_law.setdefault(trace.law, []).append(slot.tensor.detach())
    measured_tensors(still := Seen("as built", built.model, inv, built=built), inv, True)
    assert not [hit for one in chosen if one.level == "static" for hit in one.find(still)]
    chosen = [one for one in chosen if one.level == "weights"]
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for law, members in by_law.items():
            values = drawn(law, sum(one.numel() for one in members), generator)
            parts = values.split([one.numel() for one in members])
            torch._foreach_copy_(members, [part.view(one.shape) for part, one in zip(parts, members, strict=True)])
        seen = Seen("drawn anew", built.model, inv, built=built)
        measured_tensors(seen, inv, True)
        yield Counter({one.code: n for one in chosen if (n := sum(1 for _ in one.find(seen)))})


def _can(one: Check) -> bool:
    return not {"rebuild", "meta"} & set(one.needs) and one.code[0] != "X"


def band(models: int, rate: float) -> int:
    """The most that as many models of that rate have, but for one time in 1,000 (binomial)."""
    total = 0.0
    for k in range(models + 1):
        total += math.comb(models, k) * rate**k * (1 - rate) ** (models - k)
        if total >= 0.999:
            return k
    return models


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="?", type=int, default=1000)
    parser.add_argument("--tensors", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first model")
    arguments = parser.parse_args()
    start, dirty, codes = time.process_time(), 0, Counter[str]()
    seeds = range(arguments.first, arguments.first + arguments.models)
    for done, counts in enumerate(found(arguments.tensors, seeds), 1):
        dirty += bool(counts)
        codes.update(counts)
        if counts:
            print(f"seed {seeds[done - 1]}: {dict(counts)}", flush=True)
        if done % 50 == 0 or done == arguments.models:
            took = (time.process_time() - start) / done
            print(f"{done} models, {dirty} with a finding; {took:.2f} s of processor time each", flush=True)
    most = band(arguments.models, 1e-3)
    print(
        f"{dirty} of {arguments.models} models with a finding {dict(codes)}; at a rate of 1 in 1,000 up to {most} are to be expected"
    )
    return int(dirty > most)


if __name__ == "__main__":
    sys.exit(main())
