"""Compare the report of a run of 2,000 rounds and 50 tasks with its limits: size, time to make, time to open.

    python benchmarks/report.py [--quick] [--json]

A real trainer of the preset mt50 makes the rounds, their records and the checkpoint. Only the episodes are drawn
instead of simulated: the success of each task follows a logistic curve of its own. If playwright and Chromium are
installed, they open the page. Its time counts from the start of navigation until the page is drawn. --quick takes 200
rounds.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from reporting import Measured, report

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.report.content import data_of
from genoevo_mega.report.reader import RunReader
from genoevo_mega.training.checkpoint_files import CHECKPOINT
from genoevo_runs.checkpoint_store import CheckpointStore
from genoevo_runs.metrics import MetricsWriter
from genoevo_runs.report.page import render

MOST_BYTES, MOST_SECONDS_TO_MAKE, MOST_SECONDS_TO_OPEN = 5e6, 20.0, 2.0


def write_run(directory: Path, rounds: int, seed: int = 1) -> None:
    """Write a run directory of *rounds* rounds of mt50, without a simulator."""
    # The replay stays empty, so it need not be large.
    settings = {"loggers": [], "sac": {"buffer_size": 50_000}, "growth": {"patience": max(rounds // 20, 1)}}
    config = build_config(preset("mt50"), settings)
    trainer = runs.create(directory, config, ["genoevo", "mega", "train", "--preset", "mt50"], lambda status: None)
    evolver, rng, tasks = trainer.state.evolver, np.random.default_rng(seed), len(trainer.suite.names)
    middle, best = rng.uniform(0.1, 1.6, (tasks, 1)) * rounds, rng.uniform(0.3, 1, (tasks, 1))
    length = config.environment.episode_length
    with (
        MetricsWriter(directory, config.loggers, {}, resume="") as trainer.metrics,
        CheckpointStore(
            directory, CHECKPOINT, config.checkpoints.keep, trainer.state.loaded, ""
        ) as trainer.checkpoints,
    ):
        for number in range(1, rounds + 1):
            success = best / (1 + np.exp((middle - number) / (0.08 * rounds)))
            evolver.statistics.episodes[:] = 1
            evolver.statistics.successes[:] = rng.random(evolver.statistics.successes.shape) < success
            evolver.statistics.returns[:] = length * (
                evolver.statistics.successes + rng.random(evolver.statistics.returns.shape)
            )
            trainer.state.steps += tasks * evolver.community.size * length
            trainer._round()
            if number % max(rounds // 10, 1) == 0:
                greedy = dict(zip(trainer.suite.names, rng.binomial(10, success[:, 0]) / 10, strict=True))
                record = {"kind": "evaluation", "step": trainer.state.steps, "episodes": 10, "greedy_success": greedy}
                trainer.metrics.write(record)
        trainer.save()


def open_page(path: Path) -> float | None:
    """Return the seconds from the start of navigation to the drawn page; None without playwright or Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None or importlib.util.find_spec("playwright") is None:
        return None
    from playwright.sync_api import sync_playwright

    drawn = "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto("about:blank")
        page.goto(path.as_uri())
        seconds = page.evaluate(drawn) / 1000
        browser.close()
    return seconds


def measure(quick: bool) -> Measured:
    """Return the ratios to the limits above."""
    with tempfile.TemporaryDirectory() as folder:
        directory, page = Path(folder) / "mt50", Path(folder) / "report.html"
        rounds = 200 if quick else 2000
        write_run(directory, rounds)
        began = time.perf_counter()
        page.write_text(render(data_of([RunReader(directory).read()])), encoding="utf-8")
        made = time.perf_counter() - began
        opened = open_page(page)
        size, log = page.stat().st_size, (directory / "metrics.jsonl").stat().st_size
    ratios = {"size_of_limit": size / MOST_BYTES, "making_of_limit": made / MOST_SECONDS_TO_MAKE}
    figures = {"rounds": rounds, "page MB": size / 1e6, "metrics.jsonl MB": log / 1e6, "s to make": made}
    if opened is not None:
        figures["s to open"] = opened
        ratios["opening_of_limit"] = opened / MOST_SECONDS_TO_OPEN
    return ratios, figures


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--write":
        write_run(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        report(__doc__.partition("\n")[0], measure)
