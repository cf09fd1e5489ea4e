"""initium demo: the story of the project, told by training a small network."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo", short_help="Why initialisation matters, in a minute.")
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Where the winner's weights go.")
def command(save: Path | None) -> None:
    """Train one plain network of 20 convolutions from five initialisations, and watch which of them learns. Under a minute."""
    from ..demo import run

    run(save=save)
