"""Run directories: what one holds, how it is made, found again and summed up.

``config.yaml`` the resolved config, ``run.json`` where it came from, ``metrics.jsonl`` and ``tensorboard/`` what it
measured, ``time.jsonl`` where the time went, ``checkpoints/`` and ``replay/`` its whole state.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from genoevo_mega.agents.sizing import sizes
from genoevo_mega.config.code import check_allowed
from genoevo_mega.config.run import Config, build_config, dump_config
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.suite import first_goal
from genoevo_mega.training import checkpoint, migrate, throughput
from genoevo_mega.training.digest import digest
from genoevo_mega.training.evaluation import SuccessRate, evaluate, greedy
from genoevo_mega.training.status import Status
from genoevo_mega.training.trainer import Trainer
from genoevo_runs import files, rundir
from genoevo_runs.settings import read_config

FORMAT, VERSION = "genoevo-mega-run", 3  # of run.json, and with it of config.yaml and metrics.jsonl
_PACKAGES = ("genoevo", "deap", "numpy", "torch", "gymnasium", "metaworld", "mujoco", "scipy", "pydantic")

Observer = Callable[[Status], None]


def _silent(line: str) -> None:
    pass


def create(directory: Path, config: Config, command: list[str], observer: Observer) -> Trainer:
    """Make a run directory and its trainer; ConfigError where *directory* exists and is not empty."""
    rundir.check_vacant(directory)
    trainer = Trainer(config, directory, observer)
    about = {"seed": config.seed, "match_parameters": matched(config)}
    rundir.create(directory, dump_config(config), rundir.new_origin(FORMAT, VERSION, command, about, _PACKAGES))
    return trainer


def open_config(directory: Path, *, runs_code: bool = True) -> Config:
    """The config of a run; UserError where *directory* is no run.

    Where its suite or architecture is code to import, UserError too unless that was allowed; *runs_code* is False for
    those who read a run and import neither.
    """
    version = read_origin(directory)["version"]
    settings = read_config(files.inside(directory, directory / rundir.CONFIG))
    config = build_config(migrate.config(settings, version))
    if runs_code:
        check_allowed(config.code, directory)
    return config


def read_origin(directory: Path) -> dict[str, Any]:
    """What ``run.json`` tells; UserError where *directory* is no run."""
    return rundir.read_origin(directory, FORMAT, VERSION)


def resume(directory: Path, observer: Observer = lambda status: None, tell: checkpoint.Tell = _silent) -> Trainer:
    """A run's trainer with the state of its newest checkpoint that is whole, or at its beginning without any.

    *tell* gets a line where it is not the newest one. UserError where none is whole.
    """
    trainer = Trainer(open_config(directory), directory, observer)
    checkpoint.load(trainer.state, directory, trainer.config, trainer.suite, tell)
    return trainer


def evaluate_run(
    directory: Path, episodes: int, progress: Callable[[int], None], tell: checkpoint.Tell = _silent
) -> dict[str, SuccessRate]:
    """Success of each task's elite, acting greedily on the evaluation goals, by task name."""
    config = open_config(directory)
    suite = make_suite(config)
    latest = checkpoint.find(directory, tell)
    agent, evolver = checkpoint.load_policy(latest, config, suite)
    first = first_goal(config.environment.change_at, checkpoint.read_state(latest)["steps"])
    torch.set_num_threads(config.compute.threads)
    with RolloutPool(suite, config.compute.workers, timeout=config.faults.worker_timeout) as pool:
        policy, length = greedy(agent, evolver.elite_routing()), config.environment.episode_length
        estimates = evaluate(pool, policy, episodes, length, progress, first_goal=first)
    return dict(zip(suite.names, estimates, strict=True))


def matched(config: Config) -> dict[str, Any] | None:
    """What ``match_parameters`` asks of the actor and of one critic and what it gives; None where it asks nothing."""
    found = sizes(config, make_suite(config))
    if found.target is None:
        return None
    stage = config.genotypes.start_stage
    to = f"mega:{stage}" if config.match_parameters == "mega" else config.match_parameters
    pairs = zip(("actor", "critic"), found.target, found.parameters, strict=True)
    return {"to": to, **{name: {"target": target, "parameters": count} for name, target, count in pairs}}


def info(directory: Path, tell: checkpoint.Tell = _silent) -> dict[str, Any]:
    """What a run is and how far it has come, from its newest checkpoint, as JSON values.

    ``success`` is that of the last evaluation, or of training's last round where there was none yet (then null
    before the first round). ``masked``, under ``sac.mask_loss_above``, counts the updates that left a task out.
    ``digest`` is the same for two runs that are equal bit for bit.
    """
    config = open_config(directory, runs_code=False)
    latest = checkpoint.find(directory, tell)
    state = checkpoint.read_state(latest)
    evolver = checkpoint.read_evolver(latest, config, tasks=None)
    stages, effective = evolver.stages.tolist(), evolver.effective_modules().tolist()
    evaluated = state["evaluated"]
    success = [estimate["success"] for estimate in evaluated] if evaluated else state["success"]
    tasks = {
        name: {"stage": stages[i], "effective_modules": effective[i], "success": success[i]}
        for i, name in enumerate(evolver.tasks)
    }
    if state["masked"]:
        fresh = state["losses"]["sums"].get("masked") or [0] * len(tasks)
        for task, before, new in zip(tasks.values(), state["masked"], fresh, strict=True):
            task["masked"] = before + int(new)
    return {
        "suite": config.suite,
        "architecture": config.architecture,
        "seed": config.seed,
        "steps": state["steps"],
        "updates": state["updates"],
        "rounds": evolver.rounds,
        "pool_size": state["pool_size"],
        "parameters": state["parameters"],
        "match_parameters": read_origin(directory).get("match_parameters"),
        "replay_bytes": state["replay_bytes"],
        "tasks": tasks,
        "time": {name: round(seconds, 3) for name, seconds in state["time"].items()},
        "budget": throughput.summary(
            throughput.Work(**state["work"]), state["steps"], state["time"], min(config.compute.workers, len(tasks))
        ),
        "checkpoint": latest.name,
        "digest": digest(latest),
    }
