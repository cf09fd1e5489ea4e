"""How fast the Triton backend draws on a GPU, against torch.cuda's own functions and against ``fill_``, the limit.

    python benchmarks/gpu.py [--largest 32]        sizes 2**20 … 2**largest elements, fp32 and bf16

Each line is one pair, in turn, medians of CUDA events over rounds; the first and last thousand values are compared with the CPU's
reference. ``of fill_`` is our bandwidth over that of ``fill_``; ``ratio`` is torch's time over ours. *launch* is what one small tensor
costs. *model* is a decoder of 7 G parameters in bf16, built on the device against its own constructor there.
Without a GPU it says so, and with ``TRITON_INTERPRET=1`` checks the values alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import initium
from initium import _laws as laws
from initium import _stream as stream
from initium.backends import Job, fill
from initium.backends.reference import Reference

KEY = stream.derive_key(0, "weight")
STD = 0.02
LAWS: dict[str, tuple[laws.Law, Callable[[Tensor], object]]] = {
    "normal": (laws.Normal(0.0, STD), lambda out: out.normal_(0.0, STD)),
    "uniform": (laws.Uniform(-STD, STD), lambda out: out.uniform_(-STD, STD)),
    "truncated": (
        laws.truncated(0.0, STD, -2 * STD, 2 * STD),
        lambda out: nn.init.trunc_normal_(out, 0.0, STD, -2 * STD, 2 * STD),
    ),
}


def milliseconds(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """The median of each call's time on the device, the calls in turn; the first round is not counted."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds + 1):
        for call, taken in zip(calls, times, strict=True):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            call()
            end.record()
            end.synchronize()
            taken.append(begin.elapsed_time(end))
    return [statistics.median(taken[1:]) for taken in times]


def assert_values(out: Tensor, law: laws.Law) -> None:
    count = min(1000, out.numel())
    for start in (0, out.numel() - count):
        expected = torch.empty(count, dtype=out.dtype)
        Reference().fill([Job(expected, law, KEY, start)])
        assert out[start : start + count].cpu().equal(expected), f"wrong values of {law} at {start}"


def tensors(largest: int) -> None:
    print(f"{'law':10} {'dtype':9} {'elements':>8}  {'ms':>8}  {'G/s':>7}  {'of fill_':>8}  {'ratio':>6}")
    for power in range(20, largest + 1, 4):
        for dtype in (torch.float32, torch.bfloat16):
            if (1 << power) * dtype.itemsize > 0.8 * torch.cuda.mem_get_info()[0]:
                continue
            out = torch.empty(1 << power, dtype=dtype, device="cuda")
            for name, (law, rival) in LAWS.items():
                job = [Job(out, law, KEY)]
                ours, theirs, limit = milliseconds(
                    [lambda job=job: fill(job), lambda rival=rival, out=out: rival(out), lambda out=out: out.fill_(1)],
                    20 if power < 28 else 5,
                )
                fill(job)
                assert_values(out, law)
                speed = out.numel() / ours / 1e6
                row = f"2^{power:<6}  {ours:8.3f}  {speed:7.1f}  {limit / ours:8.2f}  {theirs / ours:6.2f}"
                print(f"{name:10} {str(dtype).removeprefix('torch.'):9} {row}")
            del out


def interpreted() -> None:
    """The same calls on small CPU tensors in Triton's interpreter: the values are right, the times mean nothing."""
    os.environ["INITIUM_BACKEND"] = "triton"
    for name, (law, _) in LAWS.items():
        for dtype in (torch.float32, torch.bfloat16):
            out = torch.empty(5000, dtype=dtype)
            fill([Job(out, law, KEY)])
            assert_values(out, law)
            print(f"{name:10} {str(dtype).removeprefix('torch.'):9} 5000 values are the reference's")


def launch() -> None:
    """What a launch costs on the host: a hundred small tensors one by one, and ten thousand in one call."""
    out = torch.empty(64, device="cuda")
    job = [Job(out, LAWS["normal"][0], KEY)]
    fill(job)
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(100):
        fill(job)
    torch.cuda.synchronize()
    print(f"launch: {(time.perf_counter() - begin) * 1e4:.1f} us each")
    many = [Job(torch.empty(64, device="cuda"), LAWS["normal"][0], KEY) for _ in range(10_000)]
    (ours, theirs) = milliseconds([lambda: fill(many), lambda: [job.out.normal_(0.0, STD) for job in many]], 5)
    print(f"10,000 tensors of 64: {ours:.1f} ms, torch's loop {theirs:.1f} ms, ratio {theirs / ours:.2f}")


class Block(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.gate, self.up = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)
        self.norms = nn.ModuleList([nn.RMSNorm(width), nn.RMSNorm(width)])


class Decoder(nn.Module):
    """7 G parameters: 32 layers of width 4096."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(32_000, 4096)
        self.layers = nn.ModuleList([Block(4096, 11_008) for _ in range(32)])
        self.head = nn.Linear(4096, 32_000, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=STD)


def model() -> None:
    def theirs() -> None:
        torch.set_default_dtype(torch.bfloat16)
        try:
            with torch.device("cuda"):
                Decoder()
        finally:
            torch.set_default_dtype(torch.float32)

    def ours() -> None:
        initium.build(Decoder, seed=0, device="cuda", dtype=torch.bfloat16)

    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(4):
        for name, call in (("ours", ours), ("theirs", theirs)):
            torch.cuda.synchronize()
            begin = time.perf_counter()
            call()
            torch.cuda.synchronize()
            times[name].append(time.perf_counter() - begin)
    mine, other = (statistics.median(times[name][1:]) for name in ("ours", "theirs"))
    print(f"7 G parameters in bf16: build {mine:.2f} s, its own constructor {other:.2f} s, ratio {other / mine:.1f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--largest", type=int, default=32, help="the largest tensor has 2**N elements")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("torch sees no GPU here: nothing was measured")
        if os.environ.get("TRITON_INTERPRET") == "1":
            interpreted()
        return 0
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    tensors(arguments.largest)
    launch()
    model()
    return 0


if __name__ == "__main__":
    sys.exit(main())
