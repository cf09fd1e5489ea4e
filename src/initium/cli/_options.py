"""What several commands share: their options, and how a MODEL, a recipe and a seed become a plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from torch import nn

    from .._plan import Plan
    from .._recipe import Recipe

F = TypeVar("F", bound=Callable[..., Any])


def model_options(command: F) -> F:
    """--arg and --seed: how a MODEL is built."""
    command = click.option(
        "--seed", type=int, default=0, show_default=True, help="Of the plan, and of torch while the constructor runs."
    )(command)
    return click.option("--arg", "arguments", multiple=True, metavar="KEY=VALUE", help="For the callable; may be repeated.")(
        command
    )


def recipe_options(command: F) -> F:
    """--recipe and --knob: what the model gets."""
    command = click.option(
        "--knob", "knobs", multiple=True, metavar="KEY=VALUE", help="For the recipe, e.g. std=0.02; may be repeated."
    )(command)
    return click.option(
        "--recipe", "recipe_name", metavar="NAME|FILE", help="A name (see initium recipes), or a YAML or JSON file."
    )(command)


def meta_option(command: F) -> F:
    return click.option("--meta", is_flag=True, help="Build the model on meta, without memory.")(command)


def force_option(command: F) -> F:
    return click.option("--force", is_flag=True, help="Replace a file that exists.")(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def built(text: str, arguments: tuple[str, ...], seed: int, *, meta: bool = False) -> nn.Module:
    """The model that a MODEL argument names."""
    from .._models import build_model, parsed_arguments
    from .._stream import checked_seed

    checked_seed(seed)
    return build_model(text, parsed_arguments(arguments), seed=seed, meta=meta)


def chosen_recipe(name: str, knobs: tuple[str, ...]) -> Recipe:
    """The recipe of --recipe and --knob; its rules say so as their source, where they come from no file."""
    from .._models import parsed_arguments
    from .._recipe import recipe

    found = recipe(name, **parsed_arguments(knobs))
    if not name.lower().endswith((".yaml", ".yml", ".json")):
        for rule in found.rules:  # the caller that Rule found is this program, which differs from machine to machine
            object.__setattr__(rule, "source", f"--recipe {name}")
    return found


def captured(text: str, arguments: tuple[str, ...], seed: int) -> tuple[nn.Module, Plan]:
    """The skeleton, and the plan of the own initialisation, of the model that a MODEL argument names."""
    from .._models import capture_model, parsed_arguments
    from .._stream import checked_seed

    checked_seed(seed)
    return capture_model(text, parsed_arguments(arguments), seed=seed)


def planned(model: nn.Module, recipe: Recipe, seed: int) -> Plan:
    """The plan of a recipe on a model."""
    from .._planner import plan

    return plan(model, recipe, seed=seed)


def asked_recipe(name: str | None, knobs: tuple[str, ...]) -> Recipe | None:
    """The recipe of --recipe and --knob, or None for the model's own initialisation."""
    from .._errors import ArgumentError

    if name is None and knobs:
        raise ArgumentError("--knob is for a recipe: say --recipe, a name (initium recipes lists them) or a YAML or JSON file")
    return None if name is None else chosen_recipe(name, knobs)


def is_file(text: str) -> bool:
    """Whether a MODEL|FILE argument means a file or a folder: one that is there, or a name that ends like one."""
    return Path(text).exists() or (text.lower().endswith((".json", ".safetensors")) and not text.startswith("hf:"))


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1))
