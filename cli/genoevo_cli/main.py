"""The root command, and the exit codes of errors."""

from __future__ import annotations

import sys
from typing import Any

import rich_click as click

from genoevo import __version__
from genoevo_cli import missing
from genoevo_cli.completion import completion
from genoevo_cli.evolve.command import evolve
from genoevo_cli.mega import mega
from genoevo_runs.errors import RunError, UserError

click.rich_click.STYLE_HELPTEXT = ""  # the default is dim, which is hard to read


class Cli(click.RichGroup):
    """The root group: a user's mistake gives one line and exit code 2, any other expected error one line and 1."""

    def main(self, *args: Any, standalone_mode: bool = True, **kwargs: Any) -> Any:  # noqa: D102
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **kwargs)
        try:
            sys.exit(super().main(*args, standalone_mode=False, **kwargs) or 0)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.ctx.get_help(), err=True)
            sys.exit(2)
        except click.ClickException as error:
            _leave(error.format_message().replace("\n", " "), error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            _leave("stopped", 1)
        except ModuleNotFoundError as error:
            _leave(missing.line(error, "this command"), 1)
        except Exception as error:
            code = _exit_code(error)
            if code is None:
                raise
            _leave(str(error), code)


def _exit_code(error: Exception) -> int | None:
    if isinstance(error, UserError):
        return 2
    return 1 if isinstance(error, RunError | OSError | MemoryError) else None


def _leave(message: str, code: int) -> None:
    print(f"genoevo: {message}", file=sys.stderr)
    sys.exit(code)


@click.group(cls=Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="genoevo")
def cli() -> None:
    """Evolve variable-length binary genotypes, and train agents whose structure evolves.

    Examples:
        genoevo evolve --problem onemax --size 100 --seed 1

        genoevo mega train --preset demo --run-dir runs/demo

        genoevo mega info runs/demo
    """


cli.add_command(completion)
cli.add_command(evolve)
cli.add_command(mega)
