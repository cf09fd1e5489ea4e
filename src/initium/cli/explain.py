"""initium explain: what a code means."""

from __future__ import annotations

import click


@click.command("explain", short_help="What a check of the audit means, and what to write instead.")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """What the check CODE looks for, why it is bad, a model that has it, and what to write instead. Without CODE: all of them."""
    from .._audit.explain import listed, page
    from .._audit.registry import check_of

    click.echo(listed() if code is None else page(check_of(code)))
