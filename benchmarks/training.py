"""Compare a whole run of the preset mt10 with the least time that its parts need.

    python benchmarks/training.py [--quick] [--json]

The floor is (CPU-seconds that the rollouts need alone + CPU-seconds that the learner needs alone) / cores. The run is
halted repeatedly to measure its parts, one after the other: the rollouts in one worker, and the learner in one
thread. There nothing waits for anything, and other users of the machine slow all parts equally. The time of a halt
does not count otherwise.

``wall_vs_floor`` is how many times longer than the floor the run takes. It is the product of two ratios:
``learner_threads_vs_floor`` is the wall time of the updates alone, in all their threads, over the floor, and
``wall_vs_learner_alone`` is what everything else adds to this time. ``products_threads_vs_floor`` is the first ratio
for bare matrix products: the loss of the cores themselves if all are busy. ``evolving_share`` is the share of the
wall time that evolution takes. Episodes have 50 steps instead of the preset's 200, so rounds come four times as
often; with ``--quick`` there is no round.
"""

from __future__ import annotations

import os

# As the command line sets it: a spinning thread takes the core from the thread that it waits for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reporting import Measured, report

from genoevo_mega.agents.threads import ShardPool
from genoevo_mega.config.run import Config, build_config, preset
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.experiments import runs
from genoevo_mega.training.status import Status

CORES = os.cpu_count() or 1
RANDOM = 10  # steps of every task before learning
EPISODE = 50
EVERY = 25  # steps from halt to halt
ALONE = 4  # updates measured in a halt


def settings(steps: int) -> Config:
    """Return the preset with *steps* learning steps of every task, on all cores."""
    return build_config(
        preset("mt10"),
        {
            "steps": 10 * (RANDOM + steps),
            "environment": {"episode_length": EPISODE},
            "sac": {"random_steps": RANDOM, "buffer_size": 20_000},
            "evaluation": {"at_end": False},
            "compute": {"workers": CORES, "threads": CORES},
            "checkpoints": {"every": 0},
        },
    )


class Halts:
    """An observer of a run, which halts it and measures its parts alone."""

    def __init__(self) -> None:
        self.trainer: Any = None
        self.pool: Any = None
        self.steps = self.halts = 0
        self.wall = self.rollouts = self.learner = self.threads = self.product = self.products = 0.0
        self.matrix = torch.rand(2048, 2048)
        self.began: float | None = None

    def __call__(self, status: Status) -> None:
        """Follow a vector step; the wall time starts at the first step with an update."""
        if not status.updates:
            return
        if self.began is not None:
            self.wall += time.perf_counter() - self.began
            self.steps += 1
            if self.steps % EVERY == 0:
                self.halts += 1
                cpu, _ = self.learner_alone(shards=1)
                _, wall = self.learner_alone(self.trainer.state.agent.threads)
                self.learner += cpu
                self.threads += wall
                self.products_alone()
                self.rollouts += self.rollouts_alone()
        self.began = time.perf_counter()

    def rollouts_alone(self) -> float:
        """Return the seconds that one worker simulates for an episode of every task."""
        rng, before = np.random.default_rng(self.halts), self.pool.busy_seconds
        self.pool.reset(np.zeros(10, np.int64))
        for _ in range(EPISODE):
            self.pool.step(rng.uniform(-1, 1, (10, 4)).astype(np.float32))
        return self.pool.busy_seconds - before

    def products_alone(self) -> None:
        """Time a matrix product in one thread, and with its rows shared by the threads of the learner."""
        pool = self.trainer.state.agent.executor.pool
        began = time.process_time()
        self.matrix @ self.matrix
        self.product += time.process_time() - began
        began = time.perf_counter()
        pool.map(lambda rows: rows @ self.matrix, self.matrix.chunk(pool.size))
        self.products += time.perf_counter() - began

    def learner_alone(self, shards: int) -> tuple[float, float]:
        """Return CPU-seconds and wall time of some updates in *shards* threads.

        They change the networks, but not the amount of work.
        """
        trainer, sac = self.trainer, self.trainer.config.sac
        executor = trainer.state.agent.executor
        own = executor.pool
        executor.pool = own if shards == own.size else ShardPool(shards)
        threads = torch.get_num_threads()
        torch.set_num_threads(1 if shards == 1 else threads)
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(ALONE):
            batch = trainer.state.replay.sample(
                sac.batch_size, trainer.state.rngs["replay"], gamma=sac.gamma, steps=sac.n_step
            )
            routing = trainer.state.evolver.elite_routing()
            trainer.state.agent.update(batch, routing, routing)
        spent = time.process_time() - cpu, time.perf_counter() - wall
        executor.pool = own
        torch.set_num_threads(threads)
        return spent


def measure(quick: bool) -> Measured:
    """Measure one run and its parts."""
    config = settings(60 if quick else 650)
    halts = Halts()
    with tempfile.TemporaryDirectory() as directory:
        halts.trainer = trainer = runs.create(Path(directory) / "run", config, ["benchmark"], halts)
        with RolloutPool(trainer.suite, workers=1) as halts.pool:
            trainer.run(config.steps)
    seconds = trainer.state.clock.snapshot()
    rollouts = halts.rollouts / (halts.halts * EPISODE) * halts.steps
    learner, threads = (spent / (halts.halts * ALONE) * halts.steps for spent in (halts.learner, halts.threads))
    floor = (rollouts + learner) / CORES
    figures: dict[str, Any] = {"cores": CORES, "torch threads": torch.get_num_threads(), "steps": halts.steps}
    figures |= {"wall s": halts.wall, "floor s": floor, "rounds": trainer.state.evolver.rounds}
    figures |= {"rollouts alone CPU s": rollouts, "learner alone CPU s": learner}
    figures |= {"learner alone wall s": threads}
    figures |= {f"{name} s": spent for name, spent in seconds.items() if name != "idle"}  # which includes the halts
    ratios = {
        "wall_vs_floor": halts.wall / floor,
        "learner_threads_vs_floor": threads / floor,
        "wall_vs_learner_alone": halts.wall / threads,
        "products_threads_vs_floor": halts.products * CORES / halts.product,
        "evolving_share": seconds["evolving"] / halts.wall,
    }
    return ratios, figures


if __name__ == "__main__":
    report(__doc__.partition("\n")[0], measure)
