"""What a terminal shows, as pictures to look at: views and commands on 80 and 120 columns, light and dark."""

import io
import json
from contextlib import nullcontext

import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME
from rich.text import Text

from genoevo_cli.main import cli
from genoevo_cli.terminal import console, live
from genoevo_mega.experiments import runs
from genoevo_mega.training.status import Status

SIZES = {80: 24, 120: 40}
THEMES = {"light": DEFAULT_TERMINAL_THEME, "dark": SVG_EXPORT_THEME}
PAGE = """<!doctype html><html lang="en"><title>terminal</title><style>{stylesheet}
body {{ margin: 12px; color: {foreground}; background: {background}; }}
pre {{ margin: 0; font: 14px/1.2 "DejaVu Sans Mono", monospace; white-space: pre-wrap; word-break: break-all }}
</style><main><pre>{code}</pre></main></html>"""


@pytest.fixture(params=SIZES)
def terminal(request, monkeypatch):
    """A terminal of that many columns that the command line writes to, and that remembers what it shows."""
    width = request.param
    recorder = Console(
        file=io.StringIO(), width=width, height=SIZES[width], force_terminal=True, record=True, highlight=False
    )
    monkeypatch.setattr(console, "_console", recorder)
    # Bars that are wiped again would be remembered, each of their states in a row.
    monkeypatch.setattr(console, "counter", lambda *about: nullcontext(lambda done: None))
    return recorder


@pytest.fixture
def photograph(visit, screenshot, tmp_path):
    """A function that keeps a picture of a terminal, light and dark."""

    def taken(terminal, name):
        for scheme, theme in THEMES.items():
            file = tmp_path / f"{scheme}.html"
            file.write_text(terminal.export_html(theme=theme, clear=False, code_format=PAGE), encoding="utf-8")
            page = visit(file.as_uri(), ready="pre", scheme=scheme)
            page.set_viewport_size({"width": round(8.43 * terminal.width) + 32, "height": 100})
            page.evaluate(f"document.querySelector('pre').style.width = '{terminal.width + 0.5}ch'")
            screenshot(page, f"terminal-{name}-{terminal.width}-{scheme}")
        return terminal.export_text()

    return taken


def _status(directory):
    """What the live view of a run was given at its last round."""
    info = runs.info(directory)
    records = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    success = [record["success"] for record in records if record["kind"] == "round"][-1]
    names, tasks = list(info["tasks"]), info["tasks"].values()
    return Status(
        steps=info["steps"],
        updates=info["updates"],
        target=2 * info["steps"],
        tasks=names,
        stages=[task["stage"] for task in tasks],
        effective_modules=[task["effective_modules"] for task in tasks],
        success=[success[name] for name in names],
        events=[f"{name} grows to stage {task['stage']}" for name, task in zip(names[:2], tasks, strict=False)],
    )


@pytest.mark.parametrize("run", ["trained", "trained_on_50"])
def test_the_display_of_training(run, request, terminal, photograph):
    directory = request.getfixturevalue(run)
    directory = directory[0] if isinstance(directory, list) else directory
    view = live.LiveView()
    view.update(_status(directory))
    terminal.print(view._live.renderable)
    assert "steps/s" in photograph(terminal, f"training-{len(runs.info(directory)['tasks'])}")


def test_the_table_at_the_end_and_what_else_is_said_of_a_run(trained, tmp_path, terminal, photograph):
    commands = {
        "evaluate": ("mega", "evaluate", trained[0], "--episodes", 1),
        "info": ("mega", "info", trained[0]),
        "export": ("mega", "export", trained[0], "--out", tmp_path / "out"),
        "compare": ("mega", "compare", *trained),
        "presets": ("mega", "presets", "demo"),
    }
    for name, command in commands.items():
        cli.main(list(map(str, command)), standalone_mode=False)
        assert photograph(terminal, name)


@pytest.mark.parametrize("command", ["", "mega", "mega train", "evolve"])
def test_help(command, terminal, photograph):
    size = {"COLUMNS": str(terminal.width), "FORCE_COLOR": "1"}
    result = CliRunner().invoke(cli, [*command.split(), "--help"], color=True, env=size, prog_name="genoevo")
    terminal.print(Text.from_ansi(result.output))
    assert "Usage" in photograph(terminal, "-".join(["help", *command.split()]))
