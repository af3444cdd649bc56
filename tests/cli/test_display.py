import io

import pytest
from rich.console import Console

from genoevo_cli.terminal import console, live
from genoevo_mega.run_kind import KIND
from genoevo_mega.training.status import Status
from genoevo_runs.pools import RunEvent
from genoevo_runs.sweep import SweepFile, plan

NAMES = [f"push-button-{i:02}-v3" for i in range(50)]


@pytest.fixture
def frame(monkeypatch):
    """A function that gives the lines of the live view of so many tasks on a terminal of that size."""

    def drawn(tasks, width, height):
        recorder = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, record=True)
        monkeypatch.setattr(console, "_console", recorder)
        view = live.LiveView()
        status = Status(
            steps=1_234_567,
            updates=54_321,
            target=20_000_000,
            tasks=NAMES[:tasks],
            stages=[3] * tasks,
            effective_modules=[2] * tasks,
            success=[None, 0.5] * (tasks // 2),
            events=[f"{name} grows to stage 4" for name in NAMES[:5]],
        )
        view.update(status)
        recorder.print(view._live.renderable)
        return recorder.export_text().splitlines()

    return drawn


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 70)])
@pytest.mark.parametrize("tasks", [2, 10, 50])
def test_the_live_view_fits_the_terminal_with_its_bar_and_its_figures(frame, tasks, width, height):
    lines = frame(tasks, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert any("1,234,567 of 20,000,000 steps" in line for line in lines)
    assert any("54,321 updates" in line for line in lines)
    assert any("push-button-04-v3 grows to stage 4" in line for line in lines)


@pytest.mark.parametrize(("width", "height", "shown"), [(200, 70, 50), (120, 40, 50), (80, 24, 34)])
def test_as_many_tasks_are_shown_as_fit_and_the_rest_counted(frame, width, height, shown):
    text = "\n".join(frame(50, width, height))
    table = text.partition("grows")[0]
    assert sum(f"{name} " in table for name in NAMES) == shown
    assert ("16 more tasks" in text) == (shown == 34)


def test_figures_stand_beside_their_task(frame):
    for height in (24, 70):
        text = " ".join(frame(50, 120, height)).replace("│", " ")
        assert f"{NAMES[1]} 50%" in " ".join(text.split())
        assert f"{NAMES[2]} -" in " ".join(text.split())


def test_what_a_run_of_a_sweep_tells_is_a_line_with_its_name(tmp_path, capsys):
    (run,) = plan(KIND, SweepFile(preset="smoke", seeds=1), tmp_path / "s.yaml", tmp_path)
    with live.SweepView(1, 0) as view:
        view.update(RunEvent(run, "told", text="the run moves at step 400"))
    assert capsys.readouterr().err.splitlines()[0] == "run/1: the run moves at step 400"
