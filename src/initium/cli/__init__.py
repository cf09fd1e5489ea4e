"""The command line: ``initium plan | write | stats | audit | explain | diff | recipes | demo``. Words and looks only; the work is done below.

Nothing here imports torch until a command runs, so that ``--help`` answers at once. Exit codes: 0; 1, two things differ, or an audit
found something; 2, bad input; 3, a model that could not be run, or a fault of initium's own.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from .. import __version__
from .._errors import InitiumError
from . import audit, demo, diff, explain, plan, recipes, stats, write


class Refused(click.ClickException):
    """Bad input: a sentence on stderr, exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(f"initium: {self.format_message()}", err=True)


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    """click's usage errors without the usage; bare ``initium`` still prints its help."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "initium"
        message = error.format_message().rstrip(".")
        raise Refused(f"{message}{'' if message.endswith('?') else '.'} See {command} --help") from None


class Commands(click.Group):
    """A group that tells the user's faults (a sentence, 2) from initium's (a traceback, 3)."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _in_a_sentence():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _in_a_sentence():
                return super().invoke(ctx)
        except InitiumError as error:
            raise Refused(str(error)) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            click.echo("initium: interrupted; nothing was left behind", err=True)
            sys.exit(130)
        except Exception:
            traceback.print_exc()
            click.echo("initium: this is a fault of initium, not of yours; please report it with the lines above", err=True)
            sys.exit(3)


@click.group("initium", cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, package_name="initium", prog_name="initium")
def main() -> None:
    """Weight initialisation for PyTorch: see what every parameter gets, write it, measure it, audit it, compare it.

    MODEL is package.module:callable, path/to/file.py:callable, torchvision:NAME, timm:NAME or hf:CONFIG (a config.json, a folder that has
    one, or a model type such as gpt2), with --arg key=value for the callable.
    """


for _command in (
    *(plan.command, write.command, stats.command, audit.command, explain.command),
    *(diff.command, recipes.command, demo.command),
):
    main.add_command(_command)
