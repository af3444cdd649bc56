"""A worker process, which trains one run of a sweep after the other: ``python -m genoevo_runs.worker``.

Runs come as JSON lines on the standard input, and their events leave as JSON lines on the standard output. SIGTERM
makes the worker save the run that is training. A worker whose parent is gone saves and exits too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genoevo_runs import files
from genoevo_runs.begun import removed_if_empty
from genoevo_runs.errors import RunError, UserError
from genoevo_runs.run_kind import Progress, find
from genoevo_runs.rundir import is_run
from genoevo_runs.sweep import FINISHED
from genoevo_runs.user_code import allow_inherited

_INTERVAL = 1.0


def train(run: dict[str, Any], tell: Callable[[dict[str, Any]], None], stop: Callable[[], bool]) -> dict[str, Any]:
    """Train one run to its end and return its last event, as JSON values.

    A run that has begun is resumed. A foreseen error is returned as the event ``failed``.

    Parameters
    ----------
    run
        The run's ``format``, ``directory``, ``config`` and ``command``.
    tell
        Called with the event ``steps``, at most once a second, and with ``told`` for each line of a resumed run.
    stop
        Asked as often whether to save and stop.

    """
    directory, shown, steps = Path(run["directory"]), 0.0, 0
    kind = find(run["format"], directory)

    def observe(progress: Progress) -> None:
        nonlocal shown, steps
        steps = progress.steps
        if time.monotonic() - shown < _INTERVAL:
            return
        shown = time.monotonic()
        tell({"event": "steps", "steps": progress.steps, "score": progress.score})
        if stop():
            training.stop()

    try:
        if is_run(directory):
            training = kind.resume(directory, observe, lambda line: tell({"event": "told", "text": line}))
            finished = training.run()
        else:
            training = kind.create(directory, kind.build_config(run["config"]), run["command"], observe)
            with removed_if_empty(directory):
                finished = training.run()
        if finished:
            files.replace(directory / FINISHED, json.dumps(training.summary()))
    except (UserError, RunError, OSError) as error:
        return {"event": "failed", "steps": steps, "text": str(error)}
    return {"event": "done" if finished else "stopped", "steps": training.steps}


def train_silently(run: dict[str, Any], stop: Callable[[], bool]) -> dict[str, Any]:
    """Train as :func:`train` does; the ``text`` of the last event begins with the lines that the run told."""
    told: list[str] = []

    def note(message: dict[str, Any]) -> None:
        if message["event"] == "told":
            told.append(message["text"])

    event = train(run, note, stop)
    text = "; ".join([*told, *filter(None, [event.get("text")])])
    return {**event, "text": text} if text else event


def _serve() -> None:
    # What a run prints must not come between the messages.
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    parent, stopping = os.getppid(), False

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    def tell(message: dict[str, Any]) -> None:
        try:
            channel.write(json.dumps(message) + "\n")
        except BrokenPipeError:
            stop(0, None)

    signal.signal(signal.SIGTERM, stop)
    while line := sys.stdin.readline():
        try:
            run = json.loads(line)
            find(run["format"], run["directory"]).register_code()
            allow_inherited()
            tell(train(run, tell, lambda: stopping or os.getppid() != parent))
        except Exception:
            tell({"event": "failed", "text": traceback.format_exc()})


if __name__ == "__main__":
    _serve()
