"""How fast a tensor is filled: ours against torch's, pairs in one process, in turn, values asserted.

    python benchmarks/fill.py [--quick] [--check]           INITIUM_BACKEND=avx2 python benchmarks/fill.py

Every line is one pair: the medians of rounds in which both run one after the other. ``ratio`` is torch's time over ours;
against ``fill_``, which writes the same bytes and computes nothing (the limit), it is ours over the limit's. Absolute times say
something about this machine at this hour only; ``cores`` says how many our call had (where others work on this machine, it is
fewer than threads, and a ratio of that line says little). ``--check`` exits 1 where a ratio misses the target that is printed beside it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from initium import _laws as laws
from initium import _stream as stream
from initium.backends import Job, backend_for, fill
from initium.backends.reference import Reference

KEY = stream.derive_key(0, "weight")
STD = 0.02
NORMAL, UNIFORM = laws.Normal(0.0, STD), laws.Uniform(-STD, STD)
TRUNCATED = laws.truncated(0.0, STD, -2 * STD, 2 * STD)
TARGETS = {  # ratios with AVX-512: (all threads, one thread); AVX2 is to reach half of each
    ("normal", torch.float32): (7.0, 4.0),
    ("normal", torch.bfloat16): (7.0, 4.0),
    ("uniform", torch.float32): (12.0, 4.0),
    ("truncated", torch.float32): (80.0, 4.0),
}
LIMIT = 3.5  # times fill_ on warm memory


class Pair(NamedTuple):
    """One line of the table."""

    what: str
    threads: int
    ours: float
    theirs: float
    cores: float
    ratio: float
    target: float | None
    reached: bool


def medians(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Seconds of each, in turn, and the cores that ours had; the first round is not counted.

    On one thread they are seconds of the processor, which others on the machine disturb less; on several, of the clock.
    """
    alone = torch.get_num_threads() == 1
    times: tuple[list[float], list[float]] = ([], [])
    cores = []
    for _ in range(rounds + 1):
        for call, taken in zip((ours, theirs), times, strict=True):
            worked, begin = time.process_time(), time.perf_counter()
            call()
            passed, spent = time.perf_counter() - begin, time.process_time() - worked
            taken.append(spent if alone else passed)
            if call is ours:
                cores.append(spent / passed)
    return statistics.median(times[0][1:]), statistics.median(times[1][1:]), statistics.median(cores[1:])


def assert_values(out: Tensor, law: laws.Law) -> None:
    """The first and last thousand elements are the reference's, and the rest has the law's mean and std within 6 sigma."""
    count = min(1000, out.numel())
    for start in (0, out.numel() - count):
        expected = torch.empty(count, dtype=out.dtype)
        Reference().fill([Job(expected, law, KEY, start)])
        assert torch.equal(out[start : start + count], expected), f"wrong values of {law}"
    assert not isinstance(law, laws.Constant)
    part = out[: 1 << 20].double()
    error = law.std / part.numel() ** 0.5
    assert abs(part.mean() - law.mean) < 6 * error
    assert abs(part.std() - law.std) < 6 * error


def against_torch(size: int, rounds: int, threads: int) -> list[Pair]:
    """Our laws and torch's own functions on warm memory."""
    rivals: dict[str, tuple[laws.Law, Callable[[Tensor], object], int]] = {
        "normal": (NORMAL, lambda out: out.normal_(0.0, STD), 1),
        "uniform": (UNIFORM, lambda out: out.uniform_(-STD, STD), 1),
        "truncated": (TRUNCATED, lambda out: torch.nn.init.trunc_normal_(out, 0.0, STD, -2 * STD, 2 * STD), 8),
    }
    pairs = []
    for name, (law, rival, slower) in rivals.items():
        for dtype in (torch.float32, torch.bfloat16):
            ours, theirs = torch.zeros(size // slower, dtype=dtype), torch.zeros(size // slower, dtype=dtype)
            job = [Job(ours, law, KEY)]
            mine, other, cores = medians(lambda job=job: fill(job), lambda out=theirs, rival=rival: rival(out), rounds)
            assert_values(ours, law)
            both = TARGETS.get((name, dtype))
            target = None if both is None else both[1 if threads == 1 else 0] * share()
            ratio = other / mine
            pairs.append(
                Pair(f"{name} {_short(dtype)}", threads, mine, other, cores, ratio, target, target is None or ratio >= target)
            )
    return pairs


def against_the_limit(size: int, rounds: int, threads: int) -> list[Pair]:
    """Our normal and ``fill_`` on warm and on fresh memory."""
    pairs = []
    for dtype in (torch.float32, torch.bfloat16):
        warm = torch.zeros(size, dtype=dtype)
        job = [Job(warm, NORMAL, KEY)]
        mine, limit, cores = medians(lambda job=job: fill(job), lambda out=warm: out.fill_(1.0), rounds)
        fill(job)
        assert_values(warm, NORMAL)
        target = LIMIT / share() if threads > 1 and dtype == torch.float32 else None
        ratio = mine / limit
        reached = target is None or ratio <= target
        pairs.append(Pair(f"fill_ {_short(dtype)} warm", threads, mine, limit, cores, ratio, target, reached))
        del warm, job

        def fresh(write: Callable[[Tensor], object], dtype: torch.dtype = dtype) -> None:
            write(torch.empty(size, dtype=dtype))  # large enough to come from the system each time

        mine, limit, cores = medians(
            lambda fresh=fresh: fresh(lambda out: fill([Job(out, NORMAL, KEY)])),
            lambda fresh=fresh: fresh(lambda out: out.fill_(1.0)),
            rounds,
        )
        pairs.append(Pair(f"fill_ {_short(dtype)} fresh", threads, mine, limit, cores, mine / limit, None, True))
    return pairs


def small_ones(rounds: int) -> Pair:
    """10,000 tensors of 64 elements, as a model's biases and norms are."""
    outs = [torch.zeros(64) for _ in range(10_000)]
    jobs = [Job(out, NORMAL, KEY, 64 * i) for i, out in enumerate(outs)]
    normal_ = torch.nn.init.normal_
    mine, other, cores = medians(lambda: fill(jobs), lambda: [normal_(out, 0.0, STD) for out in outs], rounds)
    fill(jobs)
    assert_values(torch.cat(outs), NORMAL)
    return Pair("10,000 of 64", torch.get_num_threads(), mine, other, cores, other / mine, 1.0, other >= mine)


def share() -> float:
    """The part of the AVX-512 targets that this backend is to reach."""
    return {"avx512": 1.0, "avx2": 0.5}.get(backend_for(torch.empty(1)).name, 0.0) or 1e-9


def _short(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]


def table(pairs: list[Pair]) -> str:
    """The pairs, one a line."""
    lines = [f"{'what':<18} {'threads':>7} {'ours ms':>9} {'theirs ms':>9} {'cores':>6} {'ratio':>7} {'target':>8}"]
    for pair in pairs:
        sign = "≤" if pair.what.startswith("fill_") else "≥"
        known = pair.target is not None and 1e-3 < pair.target < 1e3
        target = f"{sign} {pair.target:g}" if known else ""
        times = f"{pair.ours * 1e3:>9.2f} {pair.theirs * 1e3:>9.2f} {pair.cores:>6.2f} {pair.ratio:>7.2f}"
        lines.append(f"{pair.what:<18} {pair.threads:>7} {times} {target:>8}" + ("" if pair.reached else "  missed"))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small tensors, few rounds: seconds, for CI")
    parser.add_argument("--check", action="store_true", help="exit 1 where a target is missed")
    arguments = parser.parse_args()
    size, rounds = (1 << 21, 5) if arguments.quick else (1 << 24, 11)
    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, backend {backend_for(torch.empty(1)).name}")
    torch.manual_seed(0)
    pairs = []
    for count in sorted({1, threads}):
        torch.set_num_threads(count)
        pairs += against_torch(size, rounds, count)
        pairs += against_the_limit(size, rounds, count)
    torch.set_num_threads(threads)
    pairs.append(small_ones(rounds))
    print(table(pairs))
    return 1 if arguments.check and not all(pair.reached for pair in pairs) else 0


if __name__ == "__main__":
    sys.exit(main())
