"""initium diff: are these two the same?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ._options import asked_recipe, built, captured, is_file, json_option, model_options, planned, print_json, recipe_options

if TYPE_CHECKING:
    from .._measure.diff import Side
    from .._plan import Plan

OWN = "the constructor's own"  # the rule of what capture found


@click.command("diff", short_help="Are these two the same? Exit code 1 if not.")
@click.argument("a")
@click.argument("b")
@click.option("--sample", type=click.IntRange(min=1), help="Look at about this many elements of each tensor instead of all.")
@recipe_options
@model_options
@json_option
def command(
    a: str,
    b: str,
    sample: int | None,
    recipe_name: str | None,
    knobs: tuple[str, ...],
    arguments: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Compare A with B: each a MODEL, a plan.json, a safetensors file or a folder. Exit code 1 where they differ.

    A MODEL is taken as its constructor leaves it, or, with --recipe, as the recipe's plan. Where the other side is the plan.json of a
    model's own initialisation (initium plan MODEL -o plan.json), it is captured anew, and what has changed is shown law by law.
    """
    from .._measure.diff import diff

    recipe = asked_recipe(recipe_name, knobs)
    saved = [plan for text in (a, b) if is_file(text) and (plan := _captured_plan(text)) is not None]

    def side(text: str) -> Side:
        if is_file(text):
            return text
        if recipe is None and saved:
            return captured(text, arguments, saved[0].seed)[1]
        model = built(text, arguments, seed)
        return model if recipe is None else planned(model, recipe, seed)

    found = diff(side(a), side(b), sample)
    if as_json:
        print_json({**found.to_dict(), "a": a, "b": b})
    else:
        click.echo(found.table())
    if not found.same:
        raise click.exceptions.Exit(1)


def _captured_plan(text: str) -> Plan | None:
    """The plan in a file, if it is one of a model's own initialisation."""
    from .._plan import Plan

    if not text.lower().endswith(".json"):
        return None
    plan = Plan.load(text)
    return plan if any(row.decision.rule == OWN for row in plan.rows()) else None
