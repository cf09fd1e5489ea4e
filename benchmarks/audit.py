"""How long an audit takes: its levels against one pass over the weights, and against the model's own forward pass.

    python benchmarks/audit.py [--quick] [--dtype DTYPE] [--rounds N]

In one process, in turn, medians of the rounds; ``ratio`` is ours over theirs. *weights*: levels static and weights on a Llama
configuration of 1.1 billion parameters (``--quick``: 30 million) that is built already, against ``x.float().std()`` over each of its
tensors; the goal is 3. *forward*: what the level forward adds to the level weights, on a Llama configuration of 400 million and on
ResNet-50, against the forward pass on the same input, which is small; the goal is 3. *many*: seconds for a model of 100,000 parameters of
two elements. Absolute times say something about this machine at this hour only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import initium
from initium._audit.measure.inputs import candidates
from initium._models import with_torchvision


def llama(layers: int, width: int) -> nn.Module:
    """22 layers of width 2048 are 1.1 billion parameters."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": width, "intermediate_size": 11 * width // 4, "num_attention_heads": width // 64}
    config = LlamaConfig(num_hidden_layers=layers, num_key_value_heads=max(width // 512, 1), **sizes)
    return initium.build(lambda: LlamaForCausalLM(config), seed=0)  # the same laws as its constructor's, in less time


def resnet50() -> nn.Module:
    import torchvision

    model: nn.Module = torchvision.models.resnet50(weights=None)
    return model


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def in_turn(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Medians of both; the first round of each is not counted."""
    taken = [(ours(), theirs()) for _ in range(rounds + 1)][1:]
    return statistics.median(a for a, _ in taken), statistics.median(b for _, b in taken)


def weights(model: nn.Module, rounds: int) -> tuple[float, float]:
    """The levels static and weights, and a standard deviation of each tensor."""
    tensors: list[Tensor] = [p.detach() for p in model.parameters()]

    def ours() -> float:
        report: initium.Report | None = None

        def call() -> None:
            nonlocal report
            report = initium.audit(model, level="weights")

        taken = seconds(call)
        assert report is not None
        measured = {one.name: one.std for one in report.measured.tensors}
        name, parameter = next((n, p) for n, p in model.named_parameters() if p.dim() > 1)
        assert abs((measured[name] or 0.0) / float(parameter.detach().float().std()) - 1) < 1e-4
        return taken

    return in_turn(ours, lambda: seconds(lambda: [x.float().std() for x in tensors]), rounds)


def forward(model: nn.Module, rounds: int) -> tuple[float, float]:
    """The forward level's own part, and the forward pass on the input that it takes."""
    model.eval()
    inputs = next(iter(candidates(model)))

    def ours() -> float:
        given = inputs.kwargs or inputs.args
        report = initium.audit(model, given, level="forward")
        assert report.measured.layers
        return report.measured.seconds["forward and backward"]

    def theirs() -> float:
        with torch.no_grad():
            return seconds(lambda: model(*inputs.args, **inputs.kwargs))

    return in_turn(ours, theirs, rounds)


def many(count: int) -> float:
    """One audit of a model of many small parameters."""
    model = nn.Module()
    model.ps = nn.ParameterList(nn.Parameter(torch.zeros(2)) for _ in range(count))
    return seconds(lambda: initium.audit(model, level="weights"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="30 million parameters, 20,000 tensors: seconds, for CI")
    parser.add_argument("--dtype", default="float32", help="of the Llama configuration")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads")
    print(f"{'what':<34} {'ours s':>8} {'theirs s':>9} {'ratio':>7}")

    def line(what: str, pair: tuple[float, float]) -> None:
        print(f"{what:<34} {pair[0]:>8.3f} {pair[1]:>9.3f} {pair[0] / pair[1]:>7.2f}", flush=True)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        before = torch.get_default_dtype()
        torch.set_default_dtype(getattr(torch, arguments.dtype))
        try:
            model = with_torchvision(lambda: llama(2, 512) if arguments.quick else llama(22, 2048))
        finally:
            torch.set_default_dtype(before)
        size = sum(p.numel() for p in model.parameters())
        line(f"weights / Llama {size / 1e9:.2f} B {arguments.dtype}", weights(model, arguments.rounds))
        del model
        model = with_torchvision(lambda: llama(2, 512) if arguments.quick else llama(6, 2048))
        size = sum(p.numel() for p in model.parameters())
        line(f"forward / Llama {size / 1e9:.2f} B float32", forward(model, arguments.rounds))
        del model
        line("forward / resnet50", forward(with_torchvision(resnet50), arguments.rounds))
        count = 20_000 if arguments.quick else 100_000
        print(f"{f'many / {count:,} parameters':<34} {many(count):>8.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
