"""What small tensors cost, where the overhead of a call is all there is: ours against torch's, pairs in one process, in turn.

    python benchmarks/small.py [--quick]

*initialize*: a model of 10,000 parameters of 64 elements, planned, checked and written, against torch's loops: over the parameters, which
are at hand, and, as people write it, over ``model.modules()`` with ``isinstance``. *call*: one drop-in on one tensor of 64 elements,
against torch's. ``ratio`` is torch's time over ours, medians of the rounds, in processor time,
which others on the machine disturb less; values are asserted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

import initium
from initium import Normal, Recipe, Rule, init

COUNT, SIZE, STD = 10_000, 64, 0.02


def flat(count: int) -> nn.Module:
    """One list of parameters."""
    return nn.ParameterList([nn.Parameter(torch.empty(8, SIZE // 8)) for _ in range(count)])


def layers(count: int) -> nn.Module:
    """As many linear layers."""
    return nn.ModuleList([nn.Linear(8, SIZE // 8, bias=False) for _ in range(count)])


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Processor seconds of each; the first round is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for call, taken in zip((ours, theirs), times, strict=True):
            begin = time.process_time()
            call()
            taken.append(time.process_time() - begin)
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])


def over_parameters(model: nn.Module, fill: Callable[[torch.Tensor], object]) -> Callable[[], None]:
    """The shortest loop there is: nothing is looked up."""
    parameters = list(model.parameters())

    def loop() -> None:
        for parameter in parameters:
            fill(parameter)

    return loop


def over_modules(model: nn.Module, fill: Callable[[torch.Tensor], object]) -> Callable[[], None]:
    """The loop of most models' ``_init_weights``."""

    def loop() -> None:
        for module in model.modules():
            if isinstance(module, nn.Linear):
                fill(module.weight)

    return loop


def whole_models(rounds: int, count: int = COUNT) -> list[tuple[str, float, float]]:
    """(what, our seconds, torch's) for models of many small parameters."""
    mine = Recipe([Rule("**", Normal(std=STD))], name="mine")
    loops = {
        "normal_": lambda p: nn.init.normal_(p, 0.0, STD),
        "kaiming_normal_": nn.init.kaiming_normal_,
    }
    results = []
    for make in (flat, layers):
        model = make(count)
        for over in (over_parameters, over_modules) if make is layers else (over_parameters,):
            for name, fill in loops.items():
                ours, theirs = in_turn(lambda model=model: initium.initialize(model, mine, seed=0), over(model, fill), rounds)
                results.append((f"{make.__name__} / {name} {over.__name__.replace('_', ' ')}", ours, theirs))
        plan = initium.initialize(model, mine, seed=0)
        for key, parameter in list(model.named_parameters())[:: count // 10]:
            assert torch.equal(parameter.detach().flatten(), plan.values(key)), f"wrong values in {key}"
    return results


def calls(rounds: int, repeats: int = 2000) -> list[tuple[str, float, float]]:
    """(what, our seconds, torch's) for one call on a small tensor."""
    results = []
    for name in ("normal_", "uniform_", "kaiming_uniform_", "xavier_normal_", "zeros_"):
        tensor = torch.empty(8, SIZE // 8)
        pair = [getattr(module, name) for module in (init, nn.init)]
        ours, theirs = in_turn(*[lambda f=f, t=tensor: [f(t) for _ in range(repeats)] for f in pair], rounds)
        torch.manual_seed(0)
        first = pair[0](tensor).clone()
        torch.manual_seed(0)
        assert torch.equal(first, pair[0](tensor))
        results.append((f"call {name}", ours / repeats, theirs / repeats))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rounds: seconds, for CI")
    rounds = 3 if parser.parse_args().quick else 11
    torch.manual_seed(0)
    print(f"{'what':<42} {'ours µs':>9} {'theirs µs':>10} {'ratio':>6}")
    for what, ours, theirs in [*whole_models(rounds), *calls(rounds)]:
        each = 1 if what.startswith("call") else COUNT
        print(f"{what:<42} {ours / each * 1e6:>9.2f} {theirs / each * 1e6:>10.2f} {theirs / ours:>6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
