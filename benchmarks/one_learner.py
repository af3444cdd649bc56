"""Say how far one learner goes: a model of the cost of a vector step, from measured parts.

    python benchmarks/one_learner.py [--quick] [--json] [--sizes learner|rollouts]

Measured are updates and actions of the preset mt10's agent with six modules, for several numbers of tasks, the
simulator seconds of Meta-World's steps, and the transport to rollout workers: of this machine, and of a Ray cluster
whose nodes are on this machine. The model is::

    vector step = max(updates * update, tasks / cores * simulator) + acting + cores * transport

An update includes the sampling of its batch. Updates overlap with the simulation, as with ``schedule.update_lag`` of
1 or more. The rollout cores are others than the learner's, with a worker each. Transport is linear in the number of
workers, and the learner in the number of tasks beyond what was measured. The ratio ``mt10_run`` is a run's wall time
over the model's, with the rollout workers on the learner's cores. ``sleeping_local`` and ``sleeping_ray`` are those
of vector steps of 50 tasks whose simulators sleep 30 ms, with eight workers and without a learner;
``--sizes rollouts`` measures only these two and the transport.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line sets it

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from cluster import Sleeping, median_step
from reporting import Measured, fastest, report

from genoevo_mega.config.run import Config, build_config, preset
from genoevo_mega.envs.metaworld import MetaWorldSuite, metaworld_names
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.transition import Transition
from genoevo_mega.experiments import runs
from genoevo_mega.training.build import make_agent, make_replay, make_structure
from genoevo_mega.training.process import keep_freed_memory
from tests.cluster.cluster import cluster

CORES = os.cpu_count() or 1
TASKS = (10, 50, 200, 500)
ROLLOUT_CORES = (1, 2, 4, 8, 16, 32, 64)
SLEEPING_TASKS, SLEEPING_WORKERS, SLEEPING = 50, 8, 0.03  # the last in seconds
SIMULATORS = (0.3, 3.0, 30.0)  # milliseconds of a step
UPDATES = (1.0, 0.1)  # in a vector step; a tenth takes as long as one of a learner that is ten times as fast
_GENES = {"genotypes": {"start_stage": 6}, "compute": {"threads": CORES, "workers": CORES}}


@dataclass(frozen=True)
class Parts:
    """Measured seconds: of an update and an action of all tasks, of a step, and of a worker's transport."""

    update: dict[int, float]
    acting: dict[int, float]
    simulator: float
    transport: float
    ray_transport: float

    def of(self, measured: dict[int, float], tasks: int) -> float:
        """Return the seconds for so many tasks: measured, or in proportion to the largest number below."""
        known = max(number for number in measured if number <= tasks)
        return measured[known] * tasks / known

    def vector_step(self, tasks: int, cores: int, simulator: float, updates: float, rollouts: str = "local") -> float:
        """Return the seconds of a vector step of the model, with rollouts ``local`` or ``ray``."""
        learner = updates * self.of(self.update, tasks)
        transport = min(cores, tasks) * (self.ray_transport if rollouts == "ray" else self.transport)
        return max(learner, simulated(tasks, cores, simulator)) + self.of(self.acting, tasks) + transport


def simulated(tasks: int, cores: int, simulator: float) -> float:
    """Return the seconds in which so many cores step all tasks."""
    return math.ceil(tasks / cores) * simulator


def learner(tasks: int, turns: int) -> tuple[float, float]:
    """Return the seconds of an update, with the sampling of its batch, and of an action, for so many tasks."""
    config = build_config(preset("mt10"), _GENES, {"sac": {"buffer_size": 1000 * tasks}})
    names = [f"task-{number}" for number in range(tasks)]
    suite: Any = SimpleNamespace(names=names, observation_size=39, action_size=4, goals=50)
    agent, replay = make_agent(config, suite), make_replay(config, suite)
    structure = make_structure(config, names, config.seed)
    rng = np.random.default_rng(1)
    _fill(replay, tasks, rng)
    observations = torch.from_numpy(rng.standard_normal((tasks, 39)).astype(np.float32))
    structure.start_episodes(np.arange(tasks))

    def update() -> None:
        batch = replay.sample(config.sac.batch_size, rng, gamma=config.sac.gamma)
        routing = structure.update_routing(batch.genotypes, rng)
        agent.update(batch, routing, structure.critic_routing(routing))

    update()
    seconds = fastest(turns, update, lambda: agent.act(observations, structure.acting_routing()))
    return seconds[0], seconds[1]


def _fill(replay: Any, tasks: int, rng: np.random.Generator, steps: int = 150) -> None:
    lost, ended = np.zeros(tasks, np.bool_), np.zeros(tasks, np.bool_)
    for _ in range(steps):
        seen, actions = (rng.standard_normal((tasks, size)).astype(np.float32) for size in (39, 4))
        transition = Transition(seen, rng.random(tasks, np.float32), ended, ended, lost)
        replay.add(seen, actions, transition, ended, np.zeros(tasks, np.int64))


def simulator(steps: int) -> tuple[float, float]:
    """Return the seconds of a step of one of MT10's tasks, and those of a worker's transport in a vector step."""
    suite = MetaWorldSuite(metaworld_names("mt10"), seed=1, goals=1)
    actions = np.random.default_rng(1).uniform(-1, 1, (steps, 10, 4)).astype(np.float32)
    with RolloutPool(suite, CORES) as pool:
        pool.reset(np.zeros(10, np.int64))
        before = pool.busy_seconds, pool.transport_seconds
        for one in actions:
            pool.step(one)
        return (pool.busy_seconds - before[0]) / (10 * steps), (pool.transport_seconds - before[1]) / (CORES * steps)


def sleeping(rollouts: str, steps: int) -> tuple[float, float]:
    """Return the seconds of a worker's transport, and of a vector step beside the model's, with sleeping simulators.

    A worker's transport is measured with four tasks and four workers.
    """
    with RolloutPool(Sleeping(4, SLEEPING), 4, rollouts=rollouts) as pool:
        median_step(pool, 5)
        transport = (median_step(pool, steps) / 1000 - SLEEPING) / 4
    with RolloutPool(Sleeping(SLEEPING_TASKS, SLEEPING), SLEEPING_WORKERS, rollouts=rollouts) as pool:
        median_step(pool, 2)
        step = median_step(pool, steps) / 1000
    model = simulated(SLEEPING_TASKS, SLEEPING_WORKERS, SLEEPING) + SLEEPING_WORKERS * transport
    return transport, step / model


def trained(vector_steps: int) -> float:
    """Return the wall seconds of a vector step in a run of mt10 with six modules, after its random steps."""
    settings = {"steps": 10 * (vector_steps + 60), "sac": {"random_steps": 50}, "evaluation": {"at_end": False}}
    config: Config = build_config(preset("mt10"), _GENES, settings, {"loggers": []})
    moments: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        run = runs.create(Path(directory) / "run", config, [], lambda status: moments.append(time.perf_counter()))
        run.run(config.steps)
    return (moments[-1] - moments[-1 - vector_steps]) / vector_steps


def table(parts: Parts, rollouts: str = "local", tasks: Sequence[int] = TASKS) -> list[dict[str, float]]:
    """Return the model's environment steps per second by tasks and rollout cores.

    The columns are for numbers of updates in a vector step, and milliseconds of a simulator's step.
    """
    rows = []
    for number in tasks:
        for cores in ROLLOUT_CORES:
            row: dict[str, float] = {"tasks": number, "rollout cores": cores}
            for updates in UPDATES:
                for milliseconds in SIMULATORS:
                    seconds = parts.vector_step(number, cores, milliseconds / 1000, updates, rollouts)
                    row[f"{updates:g} x, {milliseconds:g} ms"] = number / seconds
            row["extrapolated"] = float(number not in parts.update or cores > CORES)
            rows.append(row)
    return rows


def measure(quick: bool, sizes: str) -> Measured:
    """Measure the parts, and fill the model's tables."""
    steps = 10 if quick else 50
    local, beside_local = sleeping("local", steps)
    with cluster(0, 4, 4):
        ray, beside_ray = sleeping("ray", steps)
    ratios = {"sleeping_local": beside_local, "sleeping_ray": beside_ray}
    transports = {"transport ms, 30 ms asleep, local": 1000 * local, "transport ms, 30 ms asleep, Ray": 1000 * ray}
    if sizes == "rollouts":
        return ratios, transports
    keep_freed_memory()
    torch.set_num_threads(CORES)
    numbers = TASKS[:2] if quick else TASKS[:3]
    learners = {number: learner(number, 3 if quick else 5) for number in numbers}
    parts = Parts(
        {number: seconds[0] for number, seconds in learners.items()},
        {number: seconds[1] for number, seconds in learners.items()},
        *simulator(100 if quick else 400),
        ray,
    )
    # On the learner's own cores, simulation delays the updates instead of overlapping with them.
    alone = parts.of(parts.update, 10) + 10 * parts.simulator / CORES
    model = alone + parts.of(parts.acting, 10) + CORES * parts.transport
    figures: dict[str, Any] = {"cores": CORES, "simulator ms": 1000 * parts.simulator}
    figures |= {f"update s, {number} tasks": seconds for number, seconds in parts.update.items()}
    figures |= {f"acting ms, {number} tasks": 1000 * seconds for number, seconds in parts.acting.items()}
    figures |= {"transport us of a worker": 1e6 * parts.transport, **transports}
    figures |= {"model": table(parts), "model, rollouts on Ray": table(parts, "ray")}
    return ratios | {"mt10_run": trained(15 if quick else 60) / model}, figures


if __name__ == "__main__":
    report(__doc__.partition("\n")[0], measure, ("learner", "rollouts"))
