"""initium recipes: the named recipes, and one of them in full."""

from __future__ import annotations

import inspect
import textwrap

import click

from ._options import chosen_recipe, json_option, print_json


@click.command("recipes", short_help="The named recipes, and what is in them.")
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List the named recipes; with NAME show what it does, its knobs and its rules. NAME may be a YAML or JSON file too."""
    if name is None:
        _list(as_json)
    else:
        _show(name, as_json)


def _list(as_json: bool) -> None:
    from .._recipe import named_recipes
    from .._table import columns, terminal_width

    found = named_recipes().values()
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "aliases": list(one.aliases),
                    "summary": one.summary,
                    "use_when": one.said("Use when"),
                    "not_when": one.said("Not when"),
                    "source": one.said("Source"),
                    "knobs": _knobs(one.factory),
                }
                for one in found
            ]
        )
        return
    rows = [(_called(one.name, one.aliases), one.said("Use when"), one.said("Source")) for one in found]
    room = max(terminal_width() - max(len(row[0]) for row in rows) - 4, 40)
    widths = (room * 3 // 5, room - room * 3 // 5)
    short = [
        (row[0], *(textwrap.shorten(cell, w, placeholder="…") for cell, w in zip(row[1:], widths, strict=True))) for row in rows
    ]
    click.echo("\n".join(columns([("recipe", "use when", "source"), *short], terminal_width())))
    click.echo("initium recipes NAME shows what it does, when not to use it, its knobs and its rules")


def _called(name: str, aliases: tuple[str, ...], most: int = 32) -> str:
    """The name and those of its aliases that there is room for."""
    shown = name
    for alias in aliases:
        if len(shown) + len(alias) + 2 > most:
            return f"{shown}, …"
        shown += f", {alias}"
    return shown


def _show(name: str, as_json: bool) -> None:
    from .._recipe import named_recipes
    from .._text.recipes import recipe_form

    found = chosen_recipe(name, ())
    entry = named_recipes().get(found.name) if not name.lower().endswith((".yaml", ".yml", ".json")) else None
    if as_json:
        about = (
            {}
            if entry is None
            else {"aliases": list(entry.aliases), "doc": inspect.getdoc(entry.factory), "knobs": _knobs(entry.factory)}
        )
        print_json({**about, **recipe_form(found)})
        return
    click.echo(found.name or name)
    if entry is not None:
        click.echo(inspect.getdoc(entry.factory) or "")
        knobs = ", ".join(f"{knob}={default!r}" for knob, default in _knobs(entry.factory).items())
        click.echo(f"\nknobs: {knobs or 'none'}")
    click.echo("rules, the last that matches wins:")
    for i, rule in enumerate(found.rules):
        click.echo(f"  [{i}] {rule}{' (optional)' if rule.optional else ''}")


def _knobs(factory: object) -> dict[str, object]:
    parameters = inspect.signature(factory).parameters  # type: ignore[arg-type]
    return {name: None if one.default is one.empty else one.default for name, one in parameters.items()}
