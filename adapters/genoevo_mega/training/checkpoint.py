"""The content of a checkpoint: the exact state of a run, and its restoration.

``agent.safetensors``
    Weights, their moving averages, temperatures, optimizer state, statistics and torch's generator.
``community.npz``
    Populations, stages, fitness and their generator.
``arrays.safetensors``
    Unfinished episodes, steps under way and relaxed codes if there are any, pending fitness, and the unfinished rows
    of the replay.
``state.json``
    Counters, generators and times.

Finished rows of the replay lie in segments, see :mod:`genoevo_runs.manifest`. Nothing is pickled.
:mod:`genoevo_runs.checkpoint_store` writes the files.
"""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from genoevo import state as engine_state
from genoevo_mega.agents.sac import SacAgent
from genoevo_mega.config.run import Config
from genoevo_mega.config.training import Checkpoints
from genoevo_mega.envs.suite import Suite
from genoevo_mega.evolution.structure import Structure
from genoevo_mega.training import agent_state, migrate
from genoevo_mega.training.build import make_agent, route_price, structure_from_state
from genoevo_mega.training.checkpoint_files import (
    AGENT,
    ARRAYS,
    COMMUNITY,
    FORMAT,
    ROWS,
    ROWS_VERSION,
    STATE,
    VERSION,
    Counters,
    Losses,
    Parameters,
    SuccessRateRecord,
)
from genoevo_mega.training.clock import training_clock
from genoevo_mega.training.evaluation import SuccessRate
from genoevo_mega.training.finding import candidates, check, find, read_state
from genoevo_mega.training.losses import RunningMeans
from genoevo_mega.training.memory_check import check_memory
from genoevo_mega.training.state import TrainingState
from genoevo_mega.training.throughput import Work
from genoevo_runs import files, manifest, metrics
from genoevo_runs.arrays import Arrays
from genoevo_runs.checkpoint_store import CheckpointStore, Snapshot
from genoevo_runs.errors import UserError, abbreviated
from genoevo_runs.manifest import LATEST, Score, Segment, Which, newest_whole
from genoevo_runs.run_kind import Tell, silent

__all__ = ["candidates", "find", "load", "load_one", "load_policy", "read_state", "snapshot"]

LATER_STREAMS = {"surrogate"}
"""Random streams that older checkpoints do not have."""


def snapshot(state: TrainingState) -> Snapshot:
    """Return a copy of everything that training changes."""
    arrays = {
        **_prefixed("episodes/", state.episodes.state_arrays()),
        **_prefixed("evolver/", state.evolver.state_arrays()),
        **_prefixed("replay/", state.replay.state_arrays()),
    }
    contents: dict[str, dict[str, Any]] = {
        AGENT: {name: tensor.numpy() for name, tensor in agent_state.tensors(state.agent).items()},
        ARRAYS: {name: np.array(array, order="C") for name, array in arrays.items()},
        COMMUNITY: copy.deepcopy(state.evolver.state_dict()),
        STATE: _counters(state).model_dump(),
    }
    return Snapshot(state.steps, _score(state), contents)


def worth_saving(state: TrainingState, settings: Checkpoints, store: CheckpointStore, at_interval: bool) -> bool:
    """Whether a policy that was just evaluated belongs in a checkpoint, with the evaluation's success.

    *at_interval* says that its step has one already, from before the evaluation.
    """
    if state.evaluation_due or not settings.every:
        return False
    return at_interval or (settings.at_best and _mean_success(state) > store.best_evaluation())


def _mean_success(state: TrainingState) -> float:
    assert state.evaluated is not None
    return float(np.mean([estimate.success for estimate in state.evaluated]))


def _score(state: TrainingState) -> Score | None:
    if state.evaluated is not None and state.evaluated_at == state.steps:  # else it was another policy's
        return Score(evaluated=True, success=_mean_success(state), step=state.steps)
    shares = [share for share in state.success if share is not None]
    return Score(evaluated=False, success=float(np.mean(shares)), step=state.steps) if shares else None


def _counters(state: TrainingState) -> Counters:
    agent = state.agent
    return Counters(
        steps=state.steps,
        updates=agent.updates,
        pool_size=len(agent.actor.pool),
        parameters=Parameters(actor=agent.actor.parameter_count, critics=agent.critics.parameter_count),
        replay_bytes=state.replay.nbytes,
        rngs={name: engine_state.generator_state(rng) for name, rng in state.rngs.items()},
        losses=Losses(count=state.losses.count, sums=state.losses.sums_as_floats()),
        time=state.clock.snapshot(),
        work=asdict(state.work),
        metrics_offset=state.metrics_offset,
        metrics_sha256=state.metrics_sha256,
        evaluation_due=state.evaluation_due,
        evaluated=state.evaluated and [SuccessRateRecord(**asdict(estimate)) for estimate in state.evaluated],
        evaluated_at=state.evaluated_at,
        success=state.success,
        masked=state.masked,
    )


# --------------------------------------------------------------------------------------------------------- loading


def load(
    state: TrainingState,
    directory: Path,
    config: Config,
    suite: Suite,
    tell: Tell = silent,
    which: Which = LATEST,
) -> None:
    """Fill a new state from the intact checkpoint of *directory* that *which* asks for, the newest by default.

    *tell* is called with a line about each that is corrupt and passed over, and about later ones, which the run will
    set aside. If there is no checkpoint at all, it is called as well and the state stays as it is. UserError if all
    checkpoints are corrupt.
    """
    path, damaged = newest_whole(
        candidates(directory, which), lambda path: load_one(state, directory, path, config, suite), tell
    )
    state.loaded.damaged += damaged
    if path is None and damaged:
        raise UserError(f"{directory} has no intact checkpoint: {next(iter(damaged.values()))}")
    if path is None:
        tell(f"{directory} holds no checkpoint yet: it starts from the beginning")
    elif which != LATEST:
        found = candidates(directory)
        state.loaded.later += [later for later in found[: found.index(path)] if later not in damaged]
        for later in reversed(state.loaded.later):
            tell(f"{later.name} is set aside: the run continues from {path.name}")


def load_one(state: TrainingState, directory: Path, path: Path, config: Config, suite: Suite) -> None:
    """Fill a state from one checkpoint; CorruptFileError if any of its files, which are checked first, is corrupt."""
    segments = check(directory, path, replay=True)
    found, tasks = read_state(path), len(suite.names)
    metrics.check_prefix(directory, found["metrics_offset"], found["metrics_sha256"])
    with files.reading(path / STATE):
        if not state.rngs.keys() - LATER_STREAMS <= found["rngs"].keys() <= state.rngs.keys():
            raise ValueError(f"rngs: must be {', '.join(state.rngs)}, got {', '.join(found['rngs'])}")
        if len(found["success"]) != tasks or len(found["evaluated"] or found["success"]) != tasks:
            raise ValueError(f"success and evaluated must be of {tasks} tasks")
        _check_masked(found, tasks)
    state.agent, state.evolver = load_policy(path, config, suite)
    arrays = read_arrays(path)
    with files.reading(path / ARRAYS):
        state.episodes.load_arrays(part_of("episodes/", arrays))
        for sent in state.episodes.under_way:
            state.evolver.check_stored(sent.genotypes)
    _load_replay(state, directory, path, segments, part_of("replay/", arrays))
    for name, rng in state.rngs.items():
        if name in found["rngs"]:
            rng.bit_generator.state = found["rngs"][name]
    state.steps = found["steps"]
    state.losses = RunningMeans(**found["losses"])
    state.clock = training_clock(found["time"])
    state.work = Work(**found["work"])
    state.metrics_offset = found["metrics_offset"]
    state.evaluation_due = found["evaluation_due"]
    state.evaluated = found["evaluated"] and [SuccessRate(**estimate) for estimate in found["evaluated"]]
    state.evaluated_at = found["evaluated_at"]
    state.success = found["success"]
    if state.masked is not None:
        state.masked = found["masked"] or state.masked
    state.loaded.path, state.loaded.segments = path, segments


def _check_masked(state: dict[str, Any], tasks: int) -> None:
    sums = state["losses"]["sums"]
    if any(isinstance(value, list) != (name == "masked") for name, value in sums.items()):
        raise ValueError("losses.sums: masked must be counts by task, all else numbers")
    if any(len(counts or range(tasks)) != tasks for counts in (state["masked"], sums.get("masked"))):
        raise ValueError(f"masked must be of {tasks} tasks")


def _load_replay(state: TrainingState, directory: Path, path: Path, segments: list[Segment], begun: Arrays) -> None:
    replay, folder = state.replay, directory / manifest.REPLAY
    replay.clear()
    if manifest.left_out(path):
        return
    if migrate.is_version_2(path):
        migrate.load_replay(path / "replay", replay)
    else:
        reached = np.zeros(len(replay.head), np.int64)
        for segment in segments:
            first, last = segment.bounds
            with files.reading(folder / segment.name):
                if (
                    first.shape != reached.shape
                    or (first > last).any()
                    or (last - first > replay.valid.shape[1]).any()
                ):
                    raise ValueError(f"its rows {segment.first} to {segment.last} do not fit the replay")
            rows = files.read_arrays(folder / segment.name, ROWS, ROWS_VERSION)
            with files.reading(folder / segment.name):
                replay.load_rows(first, last, rows)
            reached = last
        with files.reading(path / ARRAYS):
            replay.load_arrays(begun)
            if (reached != replay.written).any():
                raise ValueError(f"the replay's segments end at {reached.tolist()}, not at {replay.written.tolist()}")
    with files.reading(path / ARRAYS):
        state.evolver.check_stored(replay.genotypes[replay.valid])


def load_policy(path: Path, config: Config, suite: Suite) -> tuple[SacAgent, Structure]:
    """Return agent and structure of a checkpoint, without its replay; CorruptFileError if a file is corrupt."""
    state = read_state(path)
    evolver = read_evolver(path, config, list(suite.names), suite)
    with files.reading(path / STATE):
        pool, (least, most) = state["pool_size"], evolver.modules
        if not least <= pool <= most:
            raise ValueError(f"pool_size = {pool}: must be from {least} to {most}")
    check_memory(config, suite)
    agent = make_agent(config, suite)
    while len(agent.actor.pool) < pool:
        agent.grow()
    agent_state.load(path / AGENT, agent)
    agent.updates = state["updates"]
    arrays = part_of("evolver/", read_arrays(path))
    with files.reading(path / ARRAYS):
        evolver.load_arrays(arrays)
    return agent, evolver


def read_evolver(path: Path, config: Config, tasks: list[str] | None, suite: Suite | None = None) -> Structure:
    """Return the structure, without pending episodes; its *suite* is for prices. CorruptFileError if corrupt."""
    state, price = read_structure(path), suite and route_price(config, suite)
    with files.reading(path / COMMUNITY):
        return structure_from_state(config, tasks, state, price)


def read_structure(path: Path) -> engine_state.State:
    """Return the content of ``community.npz``; CorruptFileError if it is corrupt."""
    file = files.inside(path.parent, path / COMMUNITY)
    state = files.read_state(file)
    with files.reading(file):
        if not isinstance(state, dict) or not isinstance(state.get("population", {}), dict):
            raise ValueError(f"its state must be values by name, got {abbreviated(state)}")
        return state


def read_arrays(path: Path) -> Arrays:
    """Return the arrays of a checkpoint by ``part/name``; CorruptFileError if they are corrupt."""
    if migrate.is_version_2(path):
        return migrate.read_arrays(path)
    return files.read_arrays(files.inside(path.parent, path / ARRAYS), FORMAT, VERSION)


def _prefixed(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{name}": array for name, array in arrays.items()}


def part_of(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays whose names start with *prefix*, by the rest of the name."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
