"""Measure what a round of evolution takes beside the updates of a round, with the networks of the preset mt10.

    python benchmarks/evolving.py [--quick] [--json]

At mt10's shape ten tasks of three genotypes have one episode of 200 steps each in a round, so there are 600 updates.
Rounds and updates are timed in turns, on a replay of random rows. A share is the time of a round over that of a
round and 600 updates, both medians. Simulation, acting and all else are left out, so in a run the share is smaller.
``genoevo mega info`` tells the share of a run as ``evolving``.

The arms are selection by round, selection by record with candidates that are judged by the crowding of their routes,
and the same judged by residual critics as well. Candidates are 20 children of every task, in one generation, and the
critics value them on 48 states.
"""

from __future__ import annotations

import os

# As the command line sets it: a spinning thread takes the core from the thread that it waits for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import time
from typing import Any

import numpy as np
from checkpoint import fill
from reporting import Measured, report

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.episodes import FinishedEpisodes
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.training.build import make_state
from genoevo_mega.training.evolving import fit_pool, judge
from genoevo_mega.training.state import TrainingState

UPDATES = 600  # of a round
ROWS = 5_000  # of each task
_RECORD = {"selection": {"rule": "record"}, "candidates": {"children": 20}, "decoding": {"kind": "sparse"}}
ARMS: dict[str, list[dict[str, Any]]] = {
    "by_round": [],
    "by_record": [_RECORD],
    "with_surrogate": [_RECORD, {"candidates": {"surrogate": 1.0}, "critic": {"kind": "residual"}}],
}


class Arm:
    """A run of one kind, of which rounds and updates are timed."""

    def __init__(self, settings: list[dict[str, Any]]) -> None:
        own = {"sac": {"buffer_size": 10 * ROWS}, "compute": {"threads": os.cpu_count() or 1}}
        self.config = build_config(preset("mt10"), own, *settings)
        suite = make_suite(self.config)
        self.state: TrainingState = make_state(self.config, suite)
        self.rng = np.random.default_rng(1)
        fill(self.state.replay, ROWS, self.rng)
        self.rounds: list[float] = []
        self.updates: list[float] = []

    def round(self) -> None:
        """Time a round after an episode of every genotype."""
        evolver, tasks = self.state.evolver, np.arange(10)
        for _ in range(self.config.genotypes.population_size):
            success, returns = self.rng.random(10) < 0.3, self.rng.normal(size=10)
            evolver.record_episodes(FinishedEpisodes(np.ones(10, np.bool_), tasks, returns, success))
        began = time.perf_counter()
        evolver.end_round(judge=judge(self.state, self.config))
        fit_pool(self.state)
        self.rounds.append(time.perf_counter() - began)

    def update(self) -> None:
        """Time an update with the sampling of its batch."""
        sac, state = self.config.sac, self.state
        began = time.perf_counter()
        batch = state.replay.sample(sac.batch_size, self.rng, gamma=sac.gamma, steps=sac.n_step)
        routing = state.evolver.update_routing(batch.genotypes, self.rng)
        state.agent.update(batch, routing, state.evolver.critic_routing(routing))
        self.updates.append(time.perf_counter() - began)


def measure(quick: bool) -> Measured:
    """Measure all arms, in turns; the first turn of each warms up."""
    arms = {name: Arm(settings) for name, settings in ARMS.items()}
    for _ in range(1 + (3 if quick else 20)):
        for arm in arms.values():
            arm.round()
            arm.update()
            arm.update()
    shares: dict[str, float] = {}
    figures: dict[str, Any] = {}
    for name, arm in arms.items():
        round_s, update_s = float(np.median(arm.rounds[1:])), float(np.median(arm.updates[2:]))
        shares[f"share_{name}"] = round_s / (round_s + UPDATES * update_s)
        figures |= {f"round {name} s": round_s, f"update {name} s": update_s}
        figures[f"share {name} %"] = 100 * shares[f"share_{name}"]
    return shares, figures


if __name__ == "__main__":
    report(__doc__.partition("\n")[0], measure)
