"""initium audit: what is wrong with a model's initial state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._options import force_option, is_file

_FORMATS = ("text", "json", "sarif", "html")


@click.command("audit", short_help="What is wrong with a model's initial state. Exit code 1 if anything.")
@click.argument("target", metavar="MODEL|FILE")
@click.option("--select", multiple=True, metavar="CODES", help="Only checks whose codes begin so, e.g. U,S0; may be repeated.")
@click.option("--ignore", multiple=True, metavar="CODES", help="All but these.")
@click.option(
    "--level",
    type=click.Choice(["static", "weights", "forward", "grad"]),
    help="How far to go; as far as possible unless said.",
)
@click.option(
    "--input", "input_", metavar="SHAPES|FILE.py:FN", help="What forward takes: 2x3x224x224, x=2x16:long, or a function."
)
@click.option("--preview", is_flag=True, help="Also the checks that are still on trial.")
@click.option(
    "--min-severity", type=click.Choice(["info", "warning", "error"]), help="Leave out what weighs less.  [default: warning]"
)
@click.option("--baseline", type=click.Path(dir_okay=False), metavar="FILE", help="A JSON report: leave out what stands there.")
@click.option("--format", "format_", type=click.Choice(_FORMATS), default="text", show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write there instead of to the terminal.")
@click.option("--arg", "arguments", multiple=True, metavar="KEY=VALUE", help="For the callable; may be repeated.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of torch while the constructor runs.")
@force_option
def command(
    target: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    level: str | None,
    input_: str | None,
    preview: bool,
    min_severity: str | None,
    baseline: str | None,
    format_: str,
    output: str | None,
    arguments: tuple[str, ...],
    seed: int,
    force: bool,
) -> None:
    """Find what is wrong with the initial state of MODEL, which is built under observation, or of a safetensors FILE.

    Exit code 0: nothing of that severity; 1: something; 2: bad use; 3: the model could not be built or run (the rest is reported). Defaults
    come from [tool.initium] in pyproject.toml: select, ignore, level, preview, min-severity, baseline.
    """
    from .._audit.config import baseline_marks, configured, without
    from .._audit.run import audit
    from .._errors import ArgumentError, ModelError
    from .._models import model_callable, parsed_arguments
    from .._stream import checked_seed

    checked_seed(seed)
    config = configured(Path.cwd())
    least = str(min_severity or config.get("min-severity", "warning"))
    options: dict[str, Any] = {
        "level": level or config.get("level"),
        "select": list(select) or config.get("select"),
        "ignore": list(ignore) or config.get("ignore"),
        "preview": preview or bool(config.get("preview", False)),
        "seed": seed,
        "label": target,
    }
    known = baseline_marks(Path(baseline or config["baseline"])) if baseline or config.get("baseline") else None
    if is_file(target):
        if arguments or input_:
            raise ArgumentError(f"{target} is a file: --arg and --input are for a MODEL")
        report = audit(target, **options)
    else:
        from .._audit.cli_inputs import inputs_of

        inputs = inputs_of(input_) if input_ else None
        try:
            report = audit(model_callable(target, parsed_arguments(arguments)), inputs, **options)
        except ModelError as error:
            click.echo(f"initium: {error}", err=True)
            raise click.exceptions.Exit(3) from None
    if known is not None:
        report = without(report, known)
    _show(report, format_, least, output, force)
    for one in report.failed:
        click.echo(f"initium: {one.reason}", err=True)
    if report.failed:
        raise click.exceptions.Exit(3)
    if report.at_least(least):
        raise click.exceptions.Exit(1)


def _show(report: Any, format_: str, least: str, output: str | None, force: bool) -> None:
    from .._audit.render import rendered

    shown = rendered(report, format_, least)
    if output is None:
        click.echo(shown)
        return
    from .._files import atomic_file

    with atomic_file(Path(output), overwrite=force) as file:
        file.write(shown.encode("utf-8", "backslashreplace"))
        file.write(b"\n")
