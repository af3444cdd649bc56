"""A whole run of the preset mt10 beside the least that its parts need.

    python benchmarks/training.py [--quick] [--json]

The floor is (CPU-seconds that the rollouts need alone + CPU-seconds that the learner needs alone) / cores: the parts
are measured one after the other in this process, the rollouts in one worker and the learner in one thread, where
nothing waits for anything. ``wall_vs_floor`` is how many times longer the run takes, ``evolving_share`` the share of
its wall time that evolution takes; rounds come once in 600 steps of a task, so the run is long enough for one only
without ``--quick``.
"""

from __future__ import annotations

import os

# As the command line sets it: a spinning thread takes the core from the one it waits for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reporting import Measured, report

from genoevo_mega import runs
from genoevo_mega.config import Config, build_config, preset
from genoevo_mega.rollout import RolloutPool
from genoevo_mega.training import Status

CORES = os.cpu_count() or 1
RANDOM = 10  # steps of every task before learning


def settings(steps: int) -> Config:
    """The preset, for so many learning steps of every task, on all cores."""
    return build_config(
        preset("mt10"),
        {
            "steps": 10 * (RANDOM + steps),
            "sac": {"random_steps": RANDOM, "buffer_size": 20_000},
            "evaluation": {"at_end": False},
            "machine": {"workers": CORES, "threads": CORES, "checkpoint_every": 0},
        },
    )


def run(config: Config, directory: Path) -> tuple[runs.Trainer, float]:
    """The trainer of a run that has ended, and the wall time of its learning steps."""
    moments: list[float] = []

    def watch(status: Status) -> None:
        if status.updates:
            moments.append(time.perf_counter())

    trainer = runs.create(directory, config, ["benchmark"], watch)
    trainer.run(config.steps)
    return trainer, moments[-1] - moments[0]


def rollouts_alone(trainer: runs.Trainer, steps: int) -> float:
    """Seconds that one worker simulates for so many steps of every task."""
    rng = np.random.default_rng(1)
    with RolloutPool(trainer.suite, workers=1) as pool:
        pool.reset(np.zeros(10, np.int64))
        before = pool.busy_seconds
        for _ in range(steps):
            pool.step(rng.uniform(-1, 1, (10, 4)).astype(np.float32))
        return pool.busy_seconds - before


def learner_alone(trainer: runs.Trainer, updates: int) -> float:
    """CPU-seconds of one thread for so many updates."""
    torch.set_num_threads(1)
    trainer.agent.parts = 1
    sac = trainer.config.sac
    before = time.process_time()
    for _ in range(updates):
        batch = trainer.replay.sample(sac.batch_size, trainer.rngs["replay"], gamma=sac.gamma, steps=sac.n_step)
        trainer.agent.update(batch, trainer.evolver.elite())
    return time.process_time() - before


def measure(quick: bool) -> Measured:
    """One run and its parts."""
    steps, sample = (40, 15) if quick else (650, 40)
    with tempfile.TemporaryDirectory() as directory:
        trainer, wall = run(settings(steps), Path(directory) / "run")
    seconds = trainer.clock.snapshot()
    # Learning lags a step behind, and the watch starts after the first update.
    rollouts = rollouts_alone(trainer, sample) / sample * (steps - 2)
    learner = learner_alone(trainer, sample) / sample * (steps - 2)
    floor = (rollouts + learner) / CORES
    figures: dict[str, Any] = {"cores": CORES, "wall s": wall, "floor s": floor}
    figures |= {"rollouts alone CPU s": rollouts, "learner alone CPU s": learner}
    figures |= {f"{name} s": spent for name, spent in seconds.items()}
    return {"wall_vs_floor": wall / floor, "evolving_share": seconds["evolving"] / sum(seconds.values())}, figures


if __name__ == "__main__":
    report(__doc__.partition("\n")[0], measure)
