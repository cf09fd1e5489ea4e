"""initium write: draw a model's weights to safetensors files, or to torch.distributed.checkpoint's format."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ._options import asked_recipe, built, captured, force_option, model_options, planned, recipe_options


@click.command("write", short_help="Draw the weights to safetensors files.")
@click.argument("model")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="A .safetensors file, or a folder.")
@recipe_options
@model_options
@click.option("--dtype", help="Of all floating tensors: bfloat16, float16, float32 or float64; else as the model has them.")
@click.option(
    "--max-shard-size", metavar="SIZE", help="Several files of at most that size, as 5GB, and their index, in a folder."
)
@click.option(
    "--format", "form", default="safetensors", show_default=True, help="safetensors, or dcp (torch.distributed.checkpoint)."
)
@click.option("--part", metavar="I/N", help="Write every N-th file, from the I-th on; other processes write the others.")
@force_option
def command(
    model: str,
    output: Path,
    recipe_name: str | None,
    knobs: tuple[str, ...],
    arguments: tuple[str, ...],
    seed: int,
    dtype: str | None,
    max_shard_size: str | None,
    form: str,
    part: str | None,
    force: bool,
) -> None:
    """Draw the weights of MODEL, or of a saved plan.json, to a checkpoint that loads with load_state_dict(strict=True).

    Without --recipe it is the model's own initialisation, and a model of any size is written without being built. Under torchrun each
    process writes its part; a run that was killed goes on when it is started again. Of hf: a folder gets its config.json too, so that
    from_pretrained loads it.
    """
    from .._checkpoint.pieces import checked_dtype, count_bytes
    from .._checkpoint.write import check_output, write_plan
    from .._errors import ArgumentError, counted
    from .._plan import Plan
    from .._text.plans import plan_digest

    if part is None and int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ:  # torchrun
        part = f"{int(os.environ['RANK']) + 1}/{os.environ['WORLD_SIZE']}"
    if part is not None and max_shard_size is None and form == "safetensors":
        max_shard_size = "5GB"
    checked_dtype(dtype)  # before a large model is built
    check_output(output, overwrite=force, several=max_shard_size is not None or form == "dcp")
    values_from = skeleton = None
    if model.lower().endswith(".json") and not model.startswith("hf:"):
        if recipe_name is not None or knobs or arguments:
            raise ArgumentError(f"{model} is a plan, which has its recipe already: leave out --recipe, --knob and --arg")
        plan = Plan.load(model)
    elif (recipe := asked_recipe(recipe_name, knobs)) is None:
        skeleton, plan = captured(model, arguments, seed)
    else:
        skeleton = values_from = built(model, arguments, seed)
        plan = planned(values_from, recipe, seed)
    with _bar(part) as progress:
        path = write_plan(
            plan,
            output,
            dtype=dtype,
            max_shard_size=max_shard_size,
            format=form,
            part=part,
            values_from=values_from,
            overwrite=force,
            progress=progress,
        )
    if skeleton is not None and model.startswith("hf:") and output.is_dir():
        from ..integrations.transformers import write_config

        write_config(skeleton, output, dtype)
    files = [path] if path.is_file() else [file for file in path.iterdir() if not file.name.startswith(".")]
    size = count_bytes(sum(file.stat().st_size for file in files))
    of = "" if path.is_file() else f"{counted(len(files), 'file')}, "
    click.echo(f"{path}: {of}{size}, seed {plan.seed}, plan {plan_digest(plan)}")


@contextmanager
def _bar(part: str | None) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on stderr, where somebody may be looking."""
    if not sys.stderr.isatty() or not (part or "1/1").startswith("1/"):
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
