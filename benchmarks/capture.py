"""How long capture takes, and build against the constructor and against the limit, in time and in memory.

    python benchmarks/capture.py [--quick]

Pairs, in turn, medians of nine captures and of three builds. *meta*: the same constructor under ``torch.device("meta")``; capture is to
take 1.5 times that and 50 ms at most.
*giants*: full-size configurations of transformers, in a process of their own each, with the memory that is resident at most.
*build*: against the model's own constructor, and against ``torch.empty`` and ``fill_`` of the same bytes, the limit, all of them on pages
fresh from the system; *peak*: memory above what there was before, over the model's size.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import initium
from initium._models import with_torchvision

Make = Callable[[], nn.Module]


def models(quick: bool) -> dict[str, Make]:
    """By name, smallest first."""
    import timm
    import transformers

    bert = transformers.BertConfig(num_hidden_layers=24, hidden_size=1024, num_attention_heads=16, intermediate_size=4096)
    found: dict[str, Make] = {"timm convnext_small": lambda: timm.create_model("convnext_small")}
    if not quick:
        found["timm vit_large_patch16_224"] = lambda: timm.create_model("vit_large_patch16_224")
        found["hf bert-large"] = lambda: transformers.BertForMaskedLM(bert)
    return found


def giants() -> dict[str, Make]:
    import transformers

    wide = {"hidden_size": 16384, "intermediate_size": 106496, "num_attention_heads": 128, "num_key_value_heads": 8}
    return {
        "DeepSeek-V3": lambda: transformers.DeepseekV3ForCausalLM(transformers.DeepseekV3Config()),
        "Llama, 1.7 T": lambda: transformers.LlamaForCausalLM(
            transformers.LlamaConfig(num_hidden_layers=290, vocab_size=128256, **wide)
        ),
    }


def seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    result = call()
    taken = time.perf_counter() - begin
    del result
    gc.collect()
    return taken


def in_turn(*calls: Callable[[], Any], rounds: int = 3) -> list[float]:
    """Median seconds of each."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, taken in zip(calls, times, strict=True):
            taken.append(seconds(call))
    return [statistics.median(taken) for taken in times]


def on_meta(make: Make) -> nn.Module:
    with torch.device("meta"):
        return make()


def forked(do: Callable[[], None]) -> None:
    """Run in a process of its own, so that its memory is its own."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        do()
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)


def capture_line(name: str, make: Make) -> None:
    make_capture = lambda: initium.capture(make, seed=0)  # noqa: E731
    _, plan = make_capture()
    elements = sum(torch.Size(entry.shape).numel() for entry in plan.values() if entry.kind != "tied")
    meta, ours = in_turn(lambda: on_meta(make), make_capture, rounds=9)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"| {name} | {elements / 1e9:,.2f} G | {meta:.3f} s | {ours:.3f} s | {(ours - 0.05) / meta:.2f} | {peak:.2f} GB |")


def fresh_pages() -> None:
    """From now on malloc takes every larger block from the system and gives it back at once (where it is glibc's)."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            mallopt(parameter, 1 << 16)


def build_line(name: str, make: Make, dtype: torch.dtype | None) -> None:
    fresh_pages()
    shapes = [(tensor.shape, dtype or tensor.dtype) for tensor in initium.capture(make, seed=0)[0].parameters()]
    size = sum(shape.numel() * kind.itemsize for shape, kind in shapes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    built = initium.build(make, seed=0, dtype=dtype)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / size
    assert all(bool(p.isfinite().all()) for p in built.parameters())
    del built
    ours, theirs, limit = in_turn(
        lambda: initium.build(make, seed=0, dtype=dtype),
        lambda: make().to(dtype) if dtype else make(),
        lambda: [torch.empty(shape, dtype=kind).fill_(1.0) for shape, kind in shapes],
    )
    words = str(dtype or torch.float32).removeprefix("torch.")
    print(
        f"| {name} | {words} | {theirs:.2f} s | {ours:.2f} s | {theirs / ours:.1f} × | {limit:.2f} s | {ours / limit:.2f} × | {peak:.2f} × |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one small model")
    quick = parser.parse_args().quick
    torch.set_num_threads(torch.get_num_threads())
    chosen = with_torchvision(lambda: models(quick))
    large = {} if quick else giants()
    print("| capture | elements | on meta | captured | (captured − 50 ms) / meta | resident at most |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, make in {**chosen, **large}.items():
        forked(lambda name=name, make=make: capture_line(name, make))  # type: ignore[misc]
    print("\n| build | dtype | constructor | build | faster | empty + fill_ | build / limit | peak / model |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, make in chosen.items():
        for dtype in (None, torch.bfloat16):
            forked(lambda name=name, make=make, dtype=dtype: build_line(name, make, dtype))  # type: ignore[misc]


if __name__ == "__main__":
    main()
