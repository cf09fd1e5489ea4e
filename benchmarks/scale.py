"""What shards and checkpoints cost: pairs in turn, in one run.

    python benchmarks/scale.py [--gigabytes 10] [--folder DIR] [--quick]

- A checkpoint of that size against ``dd if=/dev/zero conv=fdatasync`` of the same size on the same disk, and the memory it takes beyond
  that of a process that has imported torch and written next to nothing. A rented disk has its bursts and its caches: who comes first
  changes from round to round, and before each the disk rests.
- A shard along the last dimension, 256 wide and more, against a shard of as many elements along the first.
- ``plan.values`` at element 0 and at element 10¹¹ of a tensor that only a meta device holds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import initium
from initium import Normal, Rule
from initium._execute import Batch
from initium._regions import Region

WRITE = """
import resource, sys, time, torch, initium
from torch import nn
rows, target, dtype = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with torch.device("meta"):
    model = nn.Sequential(*[nn.Linear(8192, rows, bias=False) for _ in range(8)])
plan = initium.plan(model, "normal", seed=0)
torch.empty(64).normal_()
before = time.perf_counter()
plan.write(target, dtype=dtype, max_shard_size="2GB")
print(time.perf_counter() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def medians(rounds: int, *calls: Callable[[], float]) -> list[float]:
    """The median of what each call gives, in turn; each round begins with another one."""
    found: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds):
        for i in range(len(calls)):
            which = (turn + i) % len(calls)
            found[which].append(calls[which]())
    return [statistics.median(results) for results in found]


def timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def checkpoint(gigabytes: float, folder: Path, rounds: int) -> None:
    peaks: dict[str, float] = {}

    def rest() -> None:
        os.sync()
        time.sleep(5)

    def ours(dtype: str, nbytes: float) -> float:
        rest()
        target = folder / "checkpoint"
        rows = max(1, int(nbytes / 8 / 8192 / {"float32": 4, "bfloat16": 2}[dtype]))
        run = subprocess.run(
            [sys.executable, "-c", WRITE, str(rows), str(target), dtype], capture_output=True, text=True, check=True
        )
        seconds, peak = map(float, run.stdout.split())
        peaks[f"{dtype} {nbytes > 1e7}"] = peak
        shutil.rmtree(target)
        return seconds

    def disk() -> float:
        rest()
        target = folder / "zeros"
        command = ["dd", "if=/dev/zero", f"of={target}", "bs=16M", f"count={int(gigabytes * 1e9 / 2**24)}", "conv=fdatasync"]
        seconds = timed(lambda: subprocess.run(command, capture_output=True, check=True))
        target.unlink()
        return seconds

    ours("float32", 1e5)
    a, b, limit = medians(rounds, lambda: ours("float32", gigabytes * 1e9), lambda: ours("bfloat16", gigabytes * 1e9), disk)
    print(f"a checkpoint of {gigabytes:g} GB, medians of {rounds} rounds in turn; dd: {gigabytes / limit:.2f} GB/s")
    for dtype, seconds in (("float32", a), ("bfloat16", b)):
        more = peaks[f"{dtype} True"] - peaks["float32 False"]
        print(
            f"  {dtype:9} {gigabytes / seconds:5.2f} GB/s, {limit / seconds:4.0%} of dd; {more:4.0f} MB beyond a process that writes 100 kB"
        )


def shards(rounds: int, elements: int) -> None:
    law = Normal().program((1, 1), initium.Layout())
    key = initium.plan(nn.Linear(2, 2), "normal", seed=0).key_of("weight")

    def filled(out: torch.Tensor, region: Region) -> float:
        batch = Batch()
        batch.add(out, law, key, region)
        return timed(batch.run)

    print(f"shards of {elements / 1e6:.0f} M elements, along the last dimension against along the first, medians of {rounds}")
    for dtype in (torch.float32, torch.bfloat16):
        for width in (256, 1000, 2048):
            rows = elements // width
            last, first = torch.empty(rows, width, dtype=dtype), torch.empty(elements // 8192, 8192, dtype=dtype)
            cut = Region((rows, 8 * width), (((0, rows),), ((3 * width, width),)))
            whole_rows = Region((8 * first.shape[0], 8192), (((3 * first.shape[0], first.shape[0]),), ((0, 8192),)))
            a, b = medians(rounds, lambda: filled(last, cut), lambda: filled(first, whole_rows))  # noqa: B023
            print(f"  {str(dtype)[6:]:9} {width:5} wide: {a / b:.2f} × the time")


def values(rounds: int) -> None:
    with torch.device("meta"):
        model = nn.Linear(10**6, 4 * 10**5, bias=False)
    plan = initium.plan(model, [Rule("weight", Normal(std=0.02))], seed=0)
    near = lambda: timed(lambda: plan.values("weight", 1, 1025))  # noqa: E731
    far = lambda: timed(lambda: plan.values("weight", 10**11 + 1, 10**11 + 1025))  # noqa: E731
    a, b = medians(100 * rounds, near, far)
    print(
        f"plan.values of 1024 elements: {1e6 * a:.0f} µs at element 1, {1e6 * b:.0f} µs at element 10¹¹, {b / a:.2f} × the time"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=10.0, help="of the checkpoint")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk that is measured")
    parser.add_argument("--quick", action="store_true", help="small and short")
    said = parser.parse_args()
    rounds = 1 if said.quick else 3
    with tempfile.TemporaryDirectory(dir=said.folder) as folder:
        checkpoint(0.2 if said.quick else said.gigabytes, Path(folder), rounds)
    shards(3 if said.quick else 9, 1 << (20 if said.quick else 24))
    values(rounds)


if __name__ == "__main__":
    main()
