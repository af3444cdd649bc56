"""The Sphinx directive ``commands``: a reference of the command line, generated from the commands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import click


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield the full name of a command, the command and its context; a group yields its commands, by name."""
    if not isinstance(command, click.Group):
        yield context.command_path, command, context
        return
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from commands(below, click.Context(below, info_name=name, parent=context))


def section(name: str, command: click.Command, context: click.Context) -> list[str]:
    """Return the lines of reStructuredText about one command: usage, help, options, examples."""
    help_text = inspect.cleandoc(command.help or "")
    text, *examples = re.split(r"^Examples?:$", help_text, maxsplit=1, flags=re.MULTILINE)
    lines = [name, "-" * len(name), "", f"``{name} {' '.join(command.collect_usage_pieces(context))}``", ""]
    lines += [*_escaped(text).splitlines(), ""]
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if isinstance(option, click.Option) and record is not None and "--help" not in option.opts:
            names, meaning = record
            lines += [f"``{names}``", f"    {_escaped(' '.join(meaning.split()))}"]
    typed = [f"    $ {line.strip()}" for line in "".join(examples).splitlines() if line.strip()]
    if typed:
        lines += ["", ".. code-block:: console", "", *typed]
    return [*lines, ""]


def _escaped(text: str) -> str:
    """Return plain text as reStructuredText; options become literals, since two hyphens would become a dash."""
    return re.sub(r"(?<![\w-])(--[a-z][\w-]*)", r"``\1``", text.replace("*", r"\*").replace("|", r"\|"))


def reference() -> list[str]:
    """Return all lines of the reference."""
    from genoevo_cli.main import cli

    top = click.Context(cli, info_name="genoevo")
    return [line for found in commands(cli, top) for line in section(*found)]


def setup(app: Any) -> dict[str, bool]:
    """Register the directive; Sphinx calls this."""
    from generated import add_directive

    add_directive(app, "commands", reference)
    return {"parallel_read_safe": True}
