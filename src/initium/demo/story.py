"""The story, told on a terminal: found memory, five trainings, the plan of the winner, its weights in a file."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from rich.console import Console
from rich.rule import Rule as Line
from rich.table import Table
from torch import Tensor

from .._files import check_target
from .._plan import Plan
from .._planner import plan
from .._recipe import Recipe
from .._rules import Rule
from ..initializers import Keep
from .digits import digits
from .network import PlainNet
from .starts import SEED, STARTS
from .training import EPOCHS, Run, train

FILE = "initium-demo.safetensors"
MARK = 1234.5


@dataclass
class Story:
    """What the demo found.

    Args:
        runs: the trainings, by the name of their start.
        plan: what the winner's start was.
        file: where its trained weights are.
        seconds: how long it all took.
    """

    runs: dict[str, Run]
    plan: Plan
    file: Path
    seconds: float

    @property
    def winner(self) -> Run:
        return max(self.runs.values(), key=lambda run: run.accuracy)


def run(save: str | Path | None = None, *, console: Console | None = None) -> Story:
    """Tell the story of weight initialisation on a network of 20 convolutions; half a minute on two cores, no downloads.

    Args:
        save: the file for the winner's trained weights; None for ``initium-demo.safetensors`` in the current folder.
        console: where to print; None for the standard output.

    Raises:
        FileError: the file's folder does not exist, or it is a folder itself.
    """
    file = Path(save or FILE)
    check_target(file, overwrite=True)  # before anything is trained
    began = perf_counter()
    console = console or Console(highlight=False)
    with torch.random.fork_rng(devices=[]):
        _found_memory(console)
        runs = _trainings(console)
        winners_plan = plan(PlainNet(), "he", seed=SEED)
    story = Story(runs, winners_plan, file, 0.0)
    _plan_of_the_winner(console, story)
    _write(console, story)
    story.seconds = perf_counter() - began
    console.print(f"\n{story.seconds:.0f} seconds in all.")
    return story


def _chapter(console: Console, title: str) -> None:
    console.print()
    console.print(Line(title, align="left", style="bold"))


def _say(console: Console, text: str) -> None:
    """Prose, wrapped to at most 100 columns."""
    _show(console, textwrap.fill(text, min(100, console.width)))


def _show(console: Console, text: str) -> None:
    """Text whose lines are left as they are."""
    console.print(text, markup=False, soft_wrap=True)


def _found_memory(console: Console) -> None:
    _chapter(console, "1. What a weight holds before anybody fills it")
    _say(
        console,
        "torch.Tensor(3, 4) reserves memory and writes nothing. What it holds is what was there. Three times, as found:",
    )
    for _ in range(3):
        _show(console, str(torch.Tensor(3, 4)))
    _say(
        console,
        "If these are zeros or small numbers, that is luck too: fresh pages from the system are zero, used ones hold whatever "
        "the program last kept there. Now from recycled memory: 256 tensors full of 1234.5 are freed, and 256 new ones made. "
        "One of them:",
    )
    recycled, hits = _recycled()
    _show(console, str(recycled))
    if hits:
        _say(console, f"{hits} of the 256 new ones hold numbers of tensors that are gone; this is the fullest.")
    else:
        _say(console, "This time the allocator gave other memory. Nothing promises either.")


def _recycled() -> tuple[Tensor, int]:
    """Of 256 tensors made where 256 full of 1234.5 were freed, the one that holds most of them, and how many hold any."""
    full = [torch.full((3, 4), MARK) for _ in range(256)]
    del full
    new = [torch.Tensor(3, 4) for _ in range(256)]
    left = [int((tensor == MARK).sum()) for tensor in new]
    return new[left.index(max(left))], sum(n > 0 for n in left)


def _trainings(console: Console) -> dict[str, Run]:
    _chapter(console, "2. One network, five beginnings")
    _say(
        console,
        f"20 convolutions (3×3, 16 channels, ReLU) and a linear layer, on 1,797 handwritten digits of 8×8 pixels: {EPOCHS} "
        "epochs each, same images, same order, same optimiser. Only the initial weights differ. Chance is 10 %.",
    )
    data, runs = digits(), {}
    for name, start in STARTS.items():
        net = start()
        if name == "uninitialised memory":
            _say(console, _what_it_holds(net))
        with console.status(f"training from {name} …"):
            runs[name] = train(name, net, data)
    console.print(results(runs))
    _say(
        console,
        "Signal: how much the last convolution's output differs from image to image (std) before training; the images have "
        "std 1. Zeros let nothing through, and no gradient comes back. With N(0, 1) a layer multiplies the signal by up to "
        "√72 ≈ 8.5, with torch's default it divides it by √6 ≈ 2.4 or more; twenty layers make numbers of that which no "
        "optimiser gets back from. He's std, √(2 / fan_in), lies in between: after twenty layers the images still differ.",
    )
    return runs


def _what_it_holds(net: PlainNet) -> str:
    values = torch.cat([p.detach().flatten() for p in net.parameters()])
    finite = values[values.isfinite()]
    zero, broken = int((values == 0).sum()), values.numel() - finite.numel()
    largest = float(finite.abs().max()) if finite.numel() else math.nan
    return (
        f"The uninitialised weights, as found this time: {values.numel():,} numbers, {zero / values.numel():.0%} of them zero, "
        f"{broken} NaN or infinite, the largest {largest:.3g}."
    )


def results(runs: dict[str, Run]) -> Table:
    """A line for each training."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("start", no_wrap=True)
    for title in ("signal", "1st loss", "last loss", "accuracy"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    best = max(run.accuracy for run in runs.values())
    for run in runs.values():
        style = "green" if run.accuracy == best else None
        losses = (_loss(run.losses[0]), _loss(run.losses[-1]))
        table.add_row(run.name, f"{run.signal:.2g}", *losses, f"{run.accuracy:.1%}", verdict(run), style=style)
    return table


def _loss(loss: float) -> str:
    return f"{loss:.2f}" if abs(loss) < 1000 else f"{loss:.1e}"


def verdict(run: Run) -> str:
    """The training in two words."""
    if not run.finite or run.worst > 1e6:
        return "explodes"
    if run.accuracy < 0.2:
        return "at chance"
    return "learns"


def _plan_of_the_winner(console: Console, story: Story) -> None:
    _chapter(console, "3. The plan of the winner")
    _say(console, 'print(initium.plan(net, "he", seed=0)) shows what every tensor gets, before anything is written:')
    _show(console, story.plan.table(console.width if console.is_terminal else 120))


def _write(console: Console, story: Story) -> None:
    _chapter(console, "4. Its weights")
    winner = story.winner
    as_trained = plan(winner.net, Recipe([Rule("**", Keep())]), seed=SEED)
    as_trained.write(story.file, values_from=winner.net, overwrite=True)
    _say(console, f"The trained weights of “{winner.name}” ({winner.accuracy:.1%}) are in")
    _show(console, f"  {story.file}")
    _say(console, "Its initial weights need no file. One line draws them again, bit for bit, on any machine:")
    _show(console, '  initium.initialize(net, "he", seed=0)')
