"""initium plan: what every parameter of a model gets."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import (
    asked_recipe,
    built,
    captured,
    force_option,
    json_option,
    meta_option,
    model_options,
    planned,
    recipe_options,
)


@click.command("plan", short_help="What every parameter gets, and which rule or line of code says so.")
@click.argument("model")
@recipe_options
@model_options
@meta_option
@json_option
@click.option(
    "--blame",
    multiple=True,
    metavar="PATTERN",
    help="Show whose line or rule had the last word, for tensors that it matches; may be repeated.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Save the plan as JSON, for diff, write and review.")
@force_option
def command(
    model: str,
    recipe_name: str | None,
    knobs: tuple[str, ...],
    arguments: tuple[str, ...],
    seed: int,
    meta: bool,
    as_json: bool,
    blame: tuple[str, ...],
    output: Path | None,
    force: bool,
) -> None:
    """Show what every parameter of MODEL gets, and who says so: its authors' own code, or with --recipe the recipe's rules.

    Without --recipe MODEL's constructor runs while its draws are recorded instead of computed, so any size is shown at once. Nothing is
    written to the model.
    """
    from .._text.plans import encode_plan, save_plan

    recipe = asked_recipe(recipe_name, knobs)  # before a large model is built
    if recipe is None:  # noqa: SIM108
        plan = captured(model, arguments, seed)[1]
    else:
        plan = planned(built(model, arguments, seed, meta=meta), recipe, seed)
    if output is not None:
        save_plan(plan, output, overwrite=force)
    if as_json:
        click.echo(encode_plan(plan), nl=False)
    elif blame:
        click.echo("\n".join(plan.blame(pattern) for pattern in blame))
    else:
        click.echo(plan.table())
