"""``genoevo mega presets`` and ``tasks``: the presets and tasks to choose from."""

from __future__ import annotations

import rich_click as click

from genoevo_cli.mega.group import mega
from genoevo_cli.terminal import console, tables

PICTURES = "https://metaworld.farama.org/benchmark/benchmark_descriptions/"
DESCRIPTIONS = "https://metaworld.farama.org/benchmark/task_descriptions/"


@mega.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def presets(name: str | None, as_json: bool) -> None:
    """List every preset, or one, with the settings that it changes and their defaults.

    Examples:
        genoevo mega presets

        genoevo mega presets demo
    """
    from genoevo_mega.config import run as config
    from genoevo_runs import settings

    chosen = {name: config.preset(name)} if name else config.PRESETS
    defaults = settings.flat(config.Config().model_dump(mode="json"))
    changed = {
        each: {setting: value for setting, value in settings.flat(values).items() if value != defaults[setting]}
        for each, values in chosen.items()
    }
    if as_json:
        console.print_json(changed)
    else:
        tables.print_presets(changed, defaults)


@mega.command()
@click.option("--suite", default="mt50", show_default=True, help="mt10, mt25, mt50 or comma-separated tasks.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def tasks(suite: str, as_json: bool) -> None:
    """List Meta-World's tasks with their suites, the cost of a step, and their difficulty before learning.

    The cost is that of a simulator step, relative to other tasks. The difficulty was measured: the success rates of
    Meta-World's scripted expert and of random actions, and the steps that the expert takes to succeed.

    Examples:
        genoevo mega tasks

        genoevo mega tasks --suite mt10
    """
    from genoevo_mega.envs import catalogue

    described = catalogue.describe(suite)
    if as_json:
        console.print_json({"pictures": PICTURES, "descriptions": DESCRIPTIONS, "tasks": described})
        return
    tables.print_tasks(described)
    console.note(f"Pictures: {PICTURES}   Descriptions: {DESCRIPTIONS}")
