"""``genoevo mega settings``: what can be set, and what it means."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.padding import Padding
from rich.table import Table

from genoevo_cli.mega.group import mega
from genoevo_cli.terminal import console

if TYPE_CHECKING:
    from genoevo_mega.config.reference import Group, Setting


def _names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from genoevo_mega.config.reference import reference

    groups = reference()
    known = [*(group.name for group in groups), *(setting.name for group in groups for setting in group.settings)]
    return [name for name in known if name.startswith(incomplete)]


@mega.command()
@click.argument("name", required=False, shell_complete=_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def settings(name: str | None, as_json: bool) -> None:
    """Describe every setting, or a group or a setting with all that is known of it.

    The marks say where a rule comes from: [P] stated by the paper's summaries, [R] reconstructed, [O] our choice.

    Examples:
        genoevo mega settings

        genoevo mega settings sac

        genoevo mega settings sac.tau --json
    """
    from genoevo_mega.config.reference import lookup, reference
    from genoevo_mega.config.renamed import REMOVED_GROUPS, RENAMED

    if name in REMOVED_GROUPS:
        raise click.UsageError(f"{name} is not a group of settings: its settings are now in {REMOVED_GROUPS[name]}")
    if name in RENAMED:
        console.note(f"{name} is now called {RENAMED[name]}")
    groups = lookup(RENAMED.get(name, name)) if name else reference()
    if as_json:
        console.print_json({each.name: _as_json(each) for group in groups for each in group.settings})
    elif name:
        _print_entries(groups)
    else:
        _print_table(groups)


def _as_json(setting: Setting) -> dict[str, Any]:
    from genoevo_mega.config.reference import plain

    return {
        "type": setting.kind,
        "default": setting.default,
        "allowed": setting.allowed,
        "marks": setting.marks,
        "meaning": plain(setting.meaning),
    }


def _print_table(groups: list[Group]) -> None:
    """Print the name, the default and the first sentence on every setting, by group."""
    for group in groups:
        title = f"{group.name}: {_first(group.meaning)}"
        table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold", max_width=16)
        table.add_column(overflow="fold")
        for setting in group.settings:
            name = setting.name.removeprefix(f"{group.name}.")
            table.add_row(f"  {name}", _value(setting.default), _first(setting.meaning))
        console.stderr().print(table, "", markup=False)
    console.note(
        "A setting's full name is GROUP.NAME, or NAME in run. More: genoevo mega settings GROUP or GROUP.NAME"
    )


def _first(meaning: str) -> str:
    """Return the first sentence of a paragraph, without marks and references to modules."""
    from genoevo_mega.config.reference import plain

    text = re.sub(r" \[[PRO]\]| \((:[a-z]+:`|``genoevo)[^`]*`+\)|, see :[a-z]+:`[^`]*`", "", meaning)
    return re.split(r"[.;] ", plain(text))[0].rstrip(".")


def _print_entries(groups: list[Group]) -> None:
    from genoevo_mega.config.reference import plain

    screen = console.stderr()
    for group in groups:
        screen.print(f"{group.name}: {plain(group.meaning)}\n", markup=False)
        for setting in group.settings:
            facts = [setting.kind, f"default {_value(setting.default)}"]
            facts += [f"allowed: {setting.allowed}"] if setting.allowed else []
            marks = "".join(f" [{mark}]" for mark in setting.marks)
            screen.print(f"{setting.name} ({'; '.join(facts)}){marks}", markup=False)
            screen.print(Padding(plain(setting.meaning), (0, 0, 1, 4)), markup=False)


def _value(default: Any) -> str:
    return default if isinstance(default, str) else json.dumps(default)
