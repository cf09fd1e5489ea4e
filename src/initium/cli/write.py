"""initium write: draw a model's weights to a safetensors file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ._options import built, chosen_recipe, force_option, model_options, planned, recipe_options


@click.command("write", short_help="Draw the weights to a safetensors file.")
@click.argument("model")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="A .safetensors file, or a folder.")
@recipe_options
@model_options
@click.option("--dtype", help="Of all floating tensors: bfloat16, float16, float32 or float64; else as the model has them.")
@force_option
def command(
    model: str,
    output: Path,
    recipe_name: str | None,
    knobs: tuple[str, ...],
    arguments: tuple[str, ...],
    seed: int,
    dtype: str | None,
    force: bool,
) -> None:
    """Draw the weights of MODEL, or of a saved plan.json, to a safetensors file that loads with load_state_dict(strict=True)."""
    from .._checkpoint import check_output, checked_dtype, count_bytes, write_plan
    from .._errors import ArgumentError
    from .._plan import Plan
    from .._text.plans import plan_digest

    checked_dtype(dtype)  # before a large model is built
    check_output(output, overwrite=force)
    if model.lower().endswith(".json") and not model.startswith("hf:"):
        if recipe_name is not None or knobs or arguments:
            raise ArgumentError(f"{model} is a plan, which has its recipe already: leave out --recipe, --knob and --arg")
        plan, values_from = Plan.load(model), None
    else:
        recipe = chosen_recipe(recipe_name, knobs)
        values_from = built(model, arguments, seed)
        plan = planned(values_from, recipe, seed)
    with _bar() as progress:
        path = write_plan(plan, output, dtype=dtype, values_from=values_from, overwrite=force, progress=progress)
    click.echo(f"{path}: {count_bytes(path.stat().st_size)}, seed {plan.seed}, plan {plan_digest(plan)}")


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on stderr, where somebody may be looking."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    bar = Progress(
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("writing", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
