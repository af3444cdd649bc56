"""A run's whole state on disk, and back, exactly.

A checkpoint is a directory: ``agent.safetensors`` (weights, averages, targets, temperatures, optimiser state, torch's
generator), ``community.npz`` (populations, stages, fitness, generator), ``replay/*.npy``, ``arrays.npz`` (episodes
under way, pending fitness) and ``state.json`` (counters, generators, times). Nothing is pickled. It is written beside
the last one and then takes its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from genoevo import Community
from genoevo import state as engine_state
from genoevo_mega.budget import Work
from genoevo_mega.build import make_agent
from genoevo_mega.clock import Clock
from genoevo_mega.config import Config
from genoevo_mega.errors import UserError
from genoevo_mega.evaluation import Estimate
from genoevo_mega.evolve import Evolver
from genoevo_mega.metrics import RunningMeans
from genoevo_mega.sac import Agent
from genoevo_mega.tasks import Suite

if TYPE_CHECKING:
    from genoevo_mega.training import Trainer

FORMAT, VERSION = "genoevo-mega-checkpoint", 2
_LATEST = "checkpoint"
_RNG = "rng"
_NETWORKS = ("actor", "averaged", "critics", "targets")

Arrays = dict[str, npt.NDArray[Any]]


def save(trainer: Trainer) -> None:
    """Write ``checkpoint`` into the run directory so that at every moment a complete one is there."""
    new, old, latest = (trainer.directory / f"{_LATEST}{suffix}" for suffix in (".new", ".old", ""))
    shutil.rmtree(new, ignore_errors=True)
    (new / "replay").mkdir(parents=True)
    save_file(_tensors(trainer.agent), new / "agent.safetensors")
    engine_state.save(new / "community.npz", trainer.evolver.community.state_dict())
    for name, array in trainer.replay.state_arrays().items():
        np.save(new / "replay" / f"{name}.npy", array, allow_pickle=False)
    np.savez(
        new / "arrays.npz",
        **_prefixed("episodes/", trainer.episodes.state_arrays()),
        **_prefixed("evolver/", trainer.evolver.state_arrays()),
    )
    (new / "state.json").write_text(json.dumps(_state(trainer)), encoding="utf-8")
    for path in [*new.rglob("*"), new]:
        _sync(path)
    # Between the two renames find() takes the old one, which is therefore removed only where there is a latest.
    if latest.exists():
        shutil.rmtree(old, ignore_errors=True)
        latest.rename(old)
    new.rename(latest)
    _sync(trainer.directory)
    shutil.rmtree(old, ignore_errors=True)


def load(trainer: Trainer) -> None:
    """Fill a fresh trainer from its run directory's newest checkpoint; UserError where that cannot be."""
    path = find(trainer.directory)
    state = read_state(path)
    trainer.agent, trainer.evolver = load_policy(path, trainer.config, trainer.suite)
    try:
        replay = {file.stem: np.load(file, mmap_mode="r", allow_pickle=False) for file in path.glob("replay/*.npy")}
        trainer.replay.load_arrays(replay)
        trainer.episodes.load_arrays(_under("episodes/", _read_arrays(path)))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged or does not fit its config: {error}") from None
    for name, rng in trainer.rngs.items():
        rng.bit_generator.state = state["rngs"][name]
    trainer.steps = state["steps"]
    trainer.losses = RunningMeans(**state["losses"])
    trainer.clock = Clock(state["time"])
    trainer.work = Work(**state["work"])
    trainer.metrics_offset = state["metrics_offset"]
    trainer.evaluation_due = state["evaluation_due"]
    trainer.evaluated = state["evaluated"] and [Estimate(**estimate) for estimate in state["evaluated"]]
    trainer.status.success = state["success"]


def load_policy(path: Path, config: Config, suite: Suite) -> tuple[Agent, Evolver]:
    """Agent and task populations of a checkpoint, without its replay; UserError where the files are damaged."""
    state, agent = read_state(path), make_agent(config, suite)
    while len(agent.actor.pool) < state["pool_size"]:
        agent.grow()
    _load_agent(path, agent)
    agent.updates = state["updates"]
    community = read_community(path)
    for rules in ("reproduction", "mating", "growth", "decoding"):
        if getattr(community, rules) != getattr(config, rules):
            raise UserError(f"config.yaml: {rules} is not what the run began with: {getattr(community, rules)}")
    evolver = Evolver(community, config)
    try:
        evolver.load_arrays(_under("evolver/", _read_arrays(path)))
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged or does not fit its config: {error}") from None
    return agent, evolver


def _state(trainer: Trainer) -> dict[str, Any]:
    agent = trainer.agent
    return {
        "format": FORMAT,
        "version": VERSION,
        "steps": trainer.steps,
        "updates": agent.updates,
        "pool_size": len(agent.actor.pool),
        "parameters": {"actor": agent.actor.parameter_count, "critics": agent.critics.parameter_count},
        "replay_bytes": trainer.replay.nbytes,
        "rngs": {name: engine_state.generator_state(rng) for name, rng in trainer.rngs.items()},
        "losses": {"count": trainer.losses.count, "sums": trainer.losses.sums_as_floats()},
        "time": trainer.clock.snapshot(),
        "work": asdict(trainer.work),
        "metrics_offset": trainer.metrics_offset,
        "evaluation_due": trainer.evaluation_due,
        "evaluated": trainer.evaluated and [asdict(estimate) for estimate in trainer.evaluated],
        "success": trainer.status.success,
    }


def find(directory: Path) -> Path:
    """The newest complete checkpoint of a run directory; UserError where there is none."""
    for name in (_LATEST, f"{_LATEST}.old"):
        if (directory / name / "state.json").exists():
            return directory / name
    raise UserError(f"{directory} holds no checkpoint yet; its run ended before the first one")


def read_state(checkpoint: Path) -> dict[str, Any]:
    """Counters, generators and times; UserError where the file is damaged or of another format."""
    try:
        content = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{checkpoint / 'state.json'} is damaged: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise UserError(f"{checkpoint} is no checkpoint that this version reads")
    return content


def read_community(checkpoint: Path) -> Community:
    """The task populations; UserError where the file is damaged."""
    try:
        return Community.from_state(engine_state.load(checkpoint / "community.npz"))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{checkpoint / 'community.npz'} is damaged: {error}") from None


def digest(checkpoint: Path) -> str:
    """SHA-256 over weights, optimiser state, populations and fitness: equal for runs that are equal bit for bit."""
    tensors, arrays = _read_tensors(checkpoint), _read_arrays(checkpoint)
    population = engine_state.population_state(read_community(checkpoint).population)
    parts: Arrays = {name: tensor.numpy() for name, tensor in tensors.items() if name != _RNG}
    parts |= {f"population/{name}": np.asarray(value) for name, value in population.items()}
    parts |= {f"pending/{name}": arrays[f"evolver/{name}"] for name in ("episodes", "successes", "returns")}
    total = hashlib.sha256()
    for name in sorted(parts):
        array = np.ascontiguousarray(parts[name])
        total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _tensors(agent: Agent) -> dict[str, torch.Tensor]:
    tensors = {"temperature/weight": agent.log_temperature.detach(), _RNG: agent.rng.get_state()}
    for network in _NETWORKS:
        for name, tensor in getattr(agent, network).state_dict().items():
            tensors[f"{network}/{name}"] = tensor
    for optimiser, name, parameter in _optimised(agent):
        for key, value in agent.optimisers[optimiser].state[parameter].items():
            tensors[f"adam/{optimiser}/{name}/{key}"] = value
    return tensors


def _load_agent(checkpoint: Path, agent: Agent) -> None:
    tensors = _read_tensors(checkpoint)
    try:
        agent.rng.set_state(tensors[_RNG])
        agent.log_temperature.data.copy_(tensors["temperature/weight"])
        for network in _NETWORKS:
            getattr(agent, network).load_state_dict(_under(f"{network}/", tensors))
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{checkpoint / 'agent.safetensors'} does not fit this run's config: {error}") from None
    for optimiser, name, parameter in _optimised(agent):
        if state := _under(f"adam/{optimiser}/{name}/", tensors):
            agent.optimisers[optimiser].state[parameter] = state


def _optimised(agent: Agent) -> list[tuple[str, str, torch.nn.Parameter]]:
    named = [("temperature", "weight", agent.log_temperature)]
    for network in ("actor", "critics"):
        named += [(network, name, parameter) for name, parameter in getattr(agent, network).named_parameters()]
    return named


def _read_tensors(checkpoint: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(checkpoint / "agent.safetensors")
    except (OSError, SafetensorError) as error:
        raise UserError(f"{checkpoint / 'agent.safetensors'} is damaged: {error}") from None


def _read_arrays(checkpoint: Path) -> Arrays:
    try:
        # Opened here: np.load leaves its own handle open where the archive is damaged.
        with (checkpoint / "arrays.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{checkpoint / 'arrays.npz'} is damaged: {error}") from None


def _prefixed(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{name}": array for name, array in arrays.items()}


def _under(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
