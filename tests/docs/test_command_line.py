"""The reference of the command line names everything that there is; ``make docs`` shows it."""

import importlib.util

import click
import pytest

from genoevo_cli.main import cli
from tests.pages import ROOT


@pytest.fixture(scope="module")
def lines():
    spec = importlib.util.spec_from_file_location("command_line", ROOT / "docs" / "command_line.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.reference()


def test_every_command_has_a_section_with_every_option(lines):
    groups = {"genoevo": cli, "genoevo mega": cli.commands["mega"]}
    for prefix, group in groups.items():
        for name, command in group.commands.items():
            if isinstance(command, click.Group):
                continue
            rest = lines[lines.index(f"{prefix} {name}") + 2 :]
            underlines = (i for i, line in enumerate(rest) if line and not line.strip("-"))
            section = rest[: next(underlines, len(rest))]
            options = [option for option in command.params if isinstance(option, click.Option)]
            missing = [o.opts[0] for o in options if not any(line.startswith(f"``{o.opts[0]}") for line in section)]
            assert missing == [], name


def test_examples_are_shown_as_commands(lines):
    assert "    $ genoevo mega info runs/a --json" in lines
    assert "Example:" not in "\n".join(lines)
