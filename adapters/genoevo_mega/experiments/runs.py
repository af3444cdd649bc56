"""The runs of MEGA: create, resume, evaluate and summarise a run directory.

``config.yaml`` holds the resolved config, ``run.json`` the origin, ``metrics.jsonl`` and ``tensorboard/`` metrics,
``time.jsonl`` the wall times, ``checkpoints/`` and ``replay/`` the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from genoevo_mega.agents import sizing
from genoevo_mega.config.changes import changes, refuse_fixed
from genoevo_mega.config.code import check_allowed
from genoevo_mega.config.run import Config, build_config, dump_config
from genoevo_mega.envs.probe import probe
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.suite import first_goal
from genoevo_mega.experiments import costs, moving, sizes
from genoevo_mega.experiments.history import Change, naming_edits, noted, record
from genoevo_mega.experiments.moving import PACKAGES, Stint
from genoevo_mega.training import checkpoint, migrate, throughput
from genoevo_mega.training.checkpoint_files import CHECKPOINT
from genoevo_mega.training.digest import digest
from genoevo_mega.training.evaluation import SuccessRate, evaluate, greedy
from genoevo_mega.training.status import Status
from genoevo_mega.training.trainer import Trainer
from genoevo_runs import files, manifest, rundir
from genoevo_runs.manifest import LATEST, Which
from genoevo_runs.run_kind import Tell, silent
from genoevo_runs.settings import read_config

FORMAT, VERSION = "genoevo-mega-run", 3  # of run.json, and with it of config.yaml and metrics.jsonl

Observer = Callable[[Status], None]


def create(directory: Path, config: Config, command: list[str], observer: Observer, tell: Tell = silent) -> Trainer:
    """Create a run directory and its trainer; *tell* is called with a line about each oddity of its tasks.

    ConfigError if *directory* exists and is not empty, or if the environments do not work; nothing is written then.
    """
    rundir.check_vacant(directory)
    trainer = Trainer(config, directory, observer)
    at_start = sizes.at_start(config, trainer.suite).model_dump()
    about: dict[str, Any] = {"seed": config.seed, "match_parameters": matched(config), "sizes": at_start}
    about["settings"] = config.model_dump(mode="json")
    found = probe(config, trainer.suite)
    for line in found.lines():
        tell(line)
    about |= {name: tasks for name, tasks in asdict(found).items() if tasks}
    about["machines"] = [Stint.now(0, moving.facts(directory, config)).model_dump()]
    rundir.create(directory, dump_config(config), rundir.new_origin(FORMAT, VERSION, command, about, PACKAGES))
    return trainer


def open_config(directory: Path, *, runs_code: bool = True) -> Config:
    """Return the config of a run; UserError if *directory* is not a run directory.

    UserError, too, if its suite or architecture is code that was not allowed; *runs_code* is False for callers that
    import neither.
    """
    version = read_origin(directory)["version"]
    settings = read_config(files.inside(directory, directory / rundir.CONFIG))
    config = build_config(migrate.config(settings, version))
    if runs_code:
        check_allowed(config.code, directory)
    return config


def read_origin(directory: Path) -> dict[str, Any]:
    """Return the content of ``run.json``; UserError if *directory* is not a run directory, or an entry is wrong."""
    origin = rundir.read_origin(directory, FORMAT, VERSION)
    noted(directory, origin)
    return origin


def resume(
    directory: Path,
    observer: Observer = lambda status: None,
    tell: Tell = silent,
    which: Which = LATEST,
    settings: dict[str, Any] | None = None,
    command: Sequence[str] = (),
) -> Trainer:
    """Return a run's trainer with the state of the checkpoint that *which* asks for, or a new state if there is none.

    *which* is that of :func:`genoevo_runs.manifest.chosen`. Later checkpoints are set aside when the run continues.
    *tell* is called with a line about each of these and about each corrupt checkpoint. UserError if all are corrupt.

    *settings* is a nested dict of settings that change; ConfigError for one that cannot, see ``MAY_CHANGE`` in
    ``genoevo_mega.config.changes``. They are written into ``config.yaml`` when the run continues, and ``run.json``
    notes them with *command*, as it does an edited ``config.yaml``, and another checkpoint than the latest.

    If the run moves to another machine, *tell* is called with a line on what stays exact, and ``run.json`` notes the
    machine, see ``genoevo_mega.experiments.moving``.
    """
    origin, opened = read_origin(directory), open_config(directory)
    known = noted(directory, origin)
    begun = known.settings or opened.model_dump(mode="json")
    refuse_fixed(changes(begun, opened), f"{directory / rundir.CONFIG}: ")
    config = build_config(opened.model_dump(), settings or {})
    refuse_fixed(found := changes(begun, config))
    moving.check_device(directory, config)
    trainer = Trainer(config, directory, observer)
    for line in known.findings.lines():
        tell(line)
    state = trainer.state
    checkpoint.load(state, directory, config, trainer.suite, tell, which)
    empty = state.loaded.path is not None and manifest.left_out(state.loaded.path)
    now = Stint.now(state.steps, moving.facts(directory, config), empty_replay=empty)
    earlier = moving.led_to(known.machines, state.steps)
    for line in moving.lines(earlier[-1].facts if earlier else {}, now):
        tell(line)
    stint = moving.next_stint(known.machines, now)
    changed = bool(found) or which != LATEST
    if changed or stint:
        change = Change.now(state.steps, state.loaded.path, list(command), found) if changed else None
        of_now = {**origin, "version": VERSION} if changed else origin
        state.loaded.on_continue.append(lambda: record(directory, of_now, config, change, stint))
    return trainer


def evaluate_run(
    directory: Path, episodes: int, progress: Callable[[int], None], tell: Tell = silent, which: Which = LATEST
) -> dict[str, SuccessRate]:
    """Return the success of each task's elite with greedy actions on the evaluation goals, by task name.

    The policy is that of the checkpoint that *which* asks for, see :func:`genoevo_runs.manifest.chosen`.
    """
    config = open_config(directory)
    suite = make_suite(config)
    path = checkpoint.find(directory, tell, which)
    with naming_edits(directory, read_origin(directory), config):
        agent, evolver = checkpoint.load_policy(path, config, suite)
    first = first_goal(config.environment.change_at, checkpoint.read_state(path)["steps"])
    torch.set_num_threads(config.compute.threads)
    compute, timeout = config.compute, config.faults.worker_timeout
    with RolloutPool(suite, compute.workers, rollouts=compute.rollouts, timeout=timeout) as pool:
        policy, length = greedy(agent, evolver.elite_routing()), config.environment.episode_length
        estimates = evaluate(pool, policy, episodes, length, progress, first_goal=first)
    return dict(zip(suite.names, estimates, strict=True))


def matched(config: Config) -> dict[str, Any] | None:
    """Return the sizes of actor and critic that ``match_parameters`` asks for, and at the start; None if not set."""
    found = sizing.sizes(config, make_suite(config))
    if found.target is None:
        return None
    stage = config.genotypes.start_stage
    to = f"mega:{stage}" if config.match_parameters == "mega" else config.match_parameters
    found_for = zip(("actor", "critic"), found.target, found.parameters, strict=True)
    return {"to": to, **{name: {"target": target, "parameters": count} for name, target, count in found_for}}


def info(directory: Path, tell: Tell = silent, which: Which = LATEST) -> dict[str, Any]:
    """Return a summary of a run and of the checkpoint that *which* asks for, the newest by default, as JSON values.

    ``success`` is the rate in the last evaluation, or else in the last round of training; null before the first.
    ``masked``, if ``sac.mask_loss_above`` is set, counts the updates that left a task out. ``sizes`` is what
    :func:`~genoevo_mega.experiments.sizes.of_run` returns; for ``module_shares``, ``frontier`` and ``selection`` see
    :func:`~genoevo_mega.experiments.costs.evolved`. ``digest`` is the same for two runs that are equal bit for
    bit. ``checkpoints`` are all that there are, oldest first, each with its ``step`` and the ``success`` of its
    policy, null if unknown; ``evaluated`` is false for success in training, and ``best`` is true for one of them.
    ``history`` lists how settings were changed, see :class:`genoevo_mega.experiments.history.Change`.
    ``machines`` are those that led to the checkpoint, see ``genoevo_mega.experiments.moving.summary``.
    ``warnings`` are the lines about tasks that the user was told when the run began.
    """
    config = open_config(directory, runs_code=False)
    chosen = checkpoint.find(directory, tell, which)
    state = checkpoint.read_state(chosen)
    evolver = checkpoint.read_evolver(chosen, config, tasks=None)
    origin = read_origin(directory)
    suite = sizes.spaces(directory, origin, config, evolver.tasks)
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
        "sizes": sizes.of_run(directory, origin, config, state["parameters"], evolver),
        "match_parameters": origin.get("match_parameters"),
        "replay_bytes": state["replay_bytes"],
        "tasks": tasks,
        **costs.evolved(directory, config, evolver, suite, state["steps"]),
        "time": {name: round(seconds, 3) for name, seconds in state["time"].items()},
        "budget": throughput.summary(
            throughput.Work(**state["work"]), state["steps"], state["time"], min(config.compute.workers, len(tasks))
        ),
        "evaluated_at": state["evaluated_at"] if evaluated else None,
        "checkpoint": chosen.name,
        "checkpoints": _checkpoints(directory),
        "history": origin.get("history", []),
        "machines": moving.summary(noted(directory, origin).machines, state["steps"]),
        "warnings": [*noted(directory, origin).findings.lines()],
        "digest": digest(chosen),
    }


def _checkpoints(directory: Path) -> list[dict[str, Any]]:
    manifests = manifest.read_all(directory, CHECKPOINT)
    best = manifest.best(manifests)
    return [
        {
            "name": path.name,
            "step": content.step,
            "success": content.own_score and content.own_score.success,
            "evaluated": bool(content.own_score and content.own_score.evaluated),
            "best": path == best,
        }
        for path, content in reversed(manifests.items())
    ]
