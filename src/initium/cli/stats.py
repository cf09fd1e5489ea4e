"""initium stats: what is in a model or a file."""

from __future__ import annotations

import click

from ._options import built, chosen_recipe, is_file, json_option, model_options, planned, print_json, recipe_options


@click.command("stats", short_help="Mean, std, min, max of every tensor.")
@click.argument("target", metavar="MODEL|FILE")
@recipe_options
@model_options
@click.option("--plan", "plan_file", metavar="PLAN.json", help="Set its std beside the measured one.")
@json_option
def command(
    target: str,
    recipe_name: str | None,
    knobs: tuple[str, ...],
    arguments: tuple[str, ...],
    seed: int,
    plan_file: str | None,
    as_json: bool,
) -> None:
    """Mean, std, min, max and std·√fan_in of each tensor of MODEL (as constructed, or with --recipe applied), a safetensors FILE or a folder."""
    from .._errors import ArgumentError
    from .._measure.stats import stats
    from .._plan import Plan

    plan = None if plan_file is None else Plan.load(plan_file)
    if is_file(target):
        if recipe_name is not None or knobs or arguments:
            raise ArgumentError(f"{target} is a file: --recipe, --knob and --arg are for a MODEL")
        found = stats(target, plan)
    else:
        recipe = None if recipe_name is None else chosen_recipe(recipe_name, knobs)
        model = built(target, arguments, seed)
        if recipe is not None:
            applied = planned(model, recipe, seed).apply(model)
            plan = plan or applied
        found = stats(model, plan)
    if as_json:
        print_json({**found.to_dict(), **({} if is_file(target) else {"seed": seed})})
    else:
        click.echo(found.table())
        if not is_file(target):
            click.echo(f"seed {seed}")
