"""How long a whole model takes: initium.build and initialize against the model's own constructor and against the limit.

    python benchmarks/model.py [--quick] [MODEL …]          models: resnet50, vit_large, llama_1b

Three pairs a model, in one process, in turn, medians of the rounds, values asserted. ``ratio`` is theirs over ours, so above 1 we are
faster. *constructor*: what the authors wrote, against ``build``, which draws the same laws. *fresh memory*: ``torch.empty`` and
``fill_`` of the same bytes, the limit for ``build``. *warm memory*: ``fill_`` over a model that exists, the limit for
``initialize``. Models whose library is not installed are skipped. Absolute times say something about this machine at this hour only.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

import initium
from initium._models import with_torchvision

SEED = 0


class Pair(NamedTuple):
    """One line of the table: seconds of ours and theirs."""

    what: str
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


Make = Callable[[], nn.Module]


def resnet50() -> Make:
    import torchvision

    return lambda: torchvision.models.resnet50(weights=None)  # type: ignore[no-any-return]


def vit_large() -> Make:
    import timm

    return lambda: timm.create_model("vit_large_patch16_224", pretrained=False)  # type: ignore[no-any-return]


def llama_1b() -> Make:
    """1.1 billion parameters: 22 layers of width 2048."""
    from transformers import LlamaConfig, LlamaForCausalLM

    width = {"hidden_size": 2048, "intermediate_size": 5632, "num_attention_heads": 32, "num_key_value_heads": 4}
    return lambda: LlamaForCausalLM(LlamaConfig(num_hidden_layers=22, **width))


MODELS: dict[str, Callable[[], Make]] = {"resnet50": resnet50, "vit_large": vit_large, "llama_1b": llama_1b}


def medians(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Seconds of each, in turn; the first round of each is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for call, taken in zip((ours, theirs), times, strict=True):
            begin = time.perf_counter()
            result = call()
            taken.append(time.perf_counter() - begin)
            del result  # a model at a time
            gc.collect()
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])


def measured(make: Make, rounds: int) -> list[Pair]:
    """The three pairs of one model."""

    def ours() -> nn.Module:
        return initium.build(make, seed=SEED)

    assert_values(ours(), initium.capture(make, seed=SEED)[1])
    tensors = [(tuple(p.shape), p.dtype) for p in initium.capture(make, seed=SEED)[0].parameters()]

    def fresh() -> list[torch.Tensor]:
        return [torch.empty(shape, dtype=dtype).fill_(1.0) for shape, dtype in tensors]

    pairs = [Pair("constructor", *medians(ours, make, rounds)), Pair("fresh memory", *medians(ours, fresh, rounds))]
    return [*pairs, on_warm_memory(ours(), rounds)]


def on_warm_memory(model: nn.Module, rounds: int) -> Pair:
    """``initialize`` and ``fill_`` over a model that exists."""
    embeddings = initium.Rule(role="embedding", initializer=initium.Normal(std=0.02), optional=True)
    rules = initium.recipe("normal", std=0.02) + initium.Recipe([embeddings])
    parameters = list(model.parameters())

    @torch.no_grad()
    def limit() -> None:
        for parameter in parameters:
            parameter.fill_(1.0)

    times = medians(lambda: initium.initialize(model, rules, seed=SEED), limit, rounds)
    assert_values(model, initium.initialize(model, rules, seed=SEED))
    return Pair("warm memory", *times)


def assert_values(model: nn.Module, plan: initium.Plan) -> None:
    """The first thousand elements of every drawn parameter are the plan's, and some are not zero."""
    checked = 0
    for name, parameter in model.named_parameters():
        entry = plan.get(name)
        if entry is None or entry.kind != "drawn":
            continue
        count = min(1000, parameter.numel())
        expected = plan.values(name, 0, count).to(parameter.dtype)
        assert torch.equal(parameter.detach().flatten()[:count], expected), f"wrong values in {name}"
        assert expected.any()
        checked += 1
    assert checked > 10, "a model has drawn parameters"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=[], metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--quick", action="store_true", help="resnet50 alone, three rounds: seconds, for CI")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.models if name not in MODELS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(MODELS)}")
    chosen = arguments.models or (["resnet50"] if arguments.quick else list(MODELS))
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads")
    print(f"{'model':<10} {'parameters':>12}  {'against':<13} {'ours s':>8} {'theirs s':>9} {'ratio':>7}")
    for name in chosen:
        try:
            make = with_torchvision(MODELS[name])
        except ImportError as error:
            print(f"{name:<10} skipped: {error}")
            continue
        count = sum(p.numel() for p in initium.capture(make, seed=SEED)[0].parameters())
        for pair in measured(make, 3 if arguments.quick else 5):
            print(f"{name:<10} {count:>12,}  {pair.what:<13} {pair.ours:>8.3f} {pair.theirs:>9.3f} {pair.ratio:>7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
