"""initium plan: what every parameter of a model gets."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import built, chosen_recipe, force_option, json_option, meta_option, model_options, planned, recipe_options


@click.command("plan", short_help="What every parameter gets, and which rule says so.")
@click.argument("model")
@recipe_options
@model_options
@meta_option
@json_option
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
    output: Path | None,
    force: bool,
) -> None:
    """Show what every parameter of MODEL gets, and which rule says so. Nothing is written to the model."""
    from .._text.plans import encode_plan, save_plan

    recipe = chosen_recipe(recipe_name, knobs)  # before a large model is built
    plan = planned(built(model, arguments, seed, meta=meta), recipe, seed)
    if output is not None:
        save_plan(plan, output, overwrite=force)
    if as_json:
        click.echo(encode_plan(plan), nl=False)
    else:
        click.echo(plan.table())
