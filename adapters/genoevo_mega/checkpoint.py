"""A run's whole state on disk: written beside the last one, then put in its place.

A checkpoint is a directory: ``agent.safetensors`` (weights, targets, temperatures, optimiser state, torch's
generator), ``community.npz`` (populations, stages, fitness, generator), ``replay/*.npy``, ``arrays.npz`` (episodes
under way, pending fitness) and ``state.json`` (counters, generators, times). Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from genoevo import state as engine_state
from genoevo_mega.errors import UserError
from genoevo_mega.sac import Agent

FORMAT, VERSION = "genoevo-mega-checkpoint", 1
LATEST = "checkpoint"
Arrays = dict[str, npt.NDArray[Any]]
_RNG = "rng"


def save(
    directory: Path, *, agent: Agent, community: dict[str, Any], replay: Arrays, arrays: Arrays, state: Any
) -> None:
    """Write ``directory/checkpoint`` so that at every moment a complete one is there."""
    new, old, latest = (directory / name for name in (f"{LATEST}.new", f"{LATEST}.old", LATEST))
    shutil.rmtree(new, ignore_errors=True)
    (new / "replay").mkdir(parents=True)
    save_file(agent_tensors(agent), new / "agent.safetensors")
    engine_state.save(new / "community.npz", community)
    for name, array in replay.items():
        np.save(new / "replay" / f"{name}.npy", array, allow_pickle=False)
    np.savez(new / "arrays.npz", **arrays)
    content = {"format": FORMAT, "version": VERSION, **state}
    (new / "state.json").write_text(json.dumps(content), encoding="utf-8")
    for path in [*new.rglob("*"), new]:
        _sync(path)
    shutil.rmtree(old, ignore_errors=True)
    if latest.exists():
        latest.rename(old)
    new.rename(latest)
    _sync(directory)
    shutil.rmtree(old, ignore_errors=True)


def find(directory: Path) -> Path:
    """The newest complete checkpoint of a run directory; UserError where there is none."""
    for name in (LATEST, f"{LATEST}.old"):
        if (directory / name / "state.json").exists():
            return directory / name
    raise UserError(f"{directory} holds no checkpoint of a run")


def read_state(checkpoint: Path) -> dict[str, Any]:
    """Counters, generators and times; UserError where the file is damaged or of another format."""
    try:
        content = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{checkpoint / 'state.json'} is damaged: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise UserError(f"{checkpoint} is no checkpoint that this version reads")
    return content


def read_community(checkpoint: Path) -> dict[str, Any]:
    """The community's state; UserError where the file is damaged."""
    try:
        return engine_state.load(checkpoint / "community.npz")
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from None


def read_arrays(checkpoint: Path) -> tuple[Arrays, Arrays]:
    """The replay's arrays and all others; UserError where a file is damaged."""
    try:
        paths = sorted((checkpoint / "replay").glob("*.npy"))
        replay = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in paths}
        with np.load(checkpoint / "arrays.npz", allow_pickle=False) as archive:
            return replay, {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{checkpoint} is damaged: {error}") from None


def agent_tensors(agent: Agent) -> dict[str, torch.Tensor]:
    """Every number of the agent by name: weights, targets, temperatures, optimiser state, generator."""
    tensors = {"temperature/weight": agent.log_temperature.detach(), _RNG: agent.rng.get_state()}
    for network in ("actor", "critics", "targets"):
        for name, tensor in getattr(agent, network).state_dict().items():
            tensors[f"{network}/{name}"] = tensor
    for optimiser, name, parameter in _optimised(agent):
        for key, value in agent.optimisers[optimiser].state[parameter].items():
            tensors[f"adam/{optimiser}/{name}/{key}"] = value
    return tensors


def load_agent(checkpoint: Path, agent: Agent) -> None:
    """Fill *agent*, which has the right number of modules; UserError where the file does not fit it."""
    try:
        tensors = load_file(checkpoint / "agent.safetensors")
    except (OSError, SafetensorError) as error:
        raise UserError(f"{checkpoint / 'agent.safetensors'} is damaged: {error}") from None
    try:
        agent.rng.set_state(tensors[_RNG])
        agent.log_temperature.data.copy_(tensors["temperature/weight"])
        for network in ("actor", "critics", "targets"):
            getattr(agent, network).load_state_dict(_under(f"{network}/", tensors))
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{checkpoint / 'agent.safetensors'} does not fit this run's config: {error}") from None
    for optimiser, name, parameter in _optimised(agent):
        if state := _under(f"adam/{optimiser}/{name}/", tensors):
            agent.optimisers[optimiser].state[parameter] = state


def digest(checkpoint: Path) -> str:
    """SHA-256 over weights, optimiser state, populations and fitness: equal for runs that are equal bit for bit."""
    tensors = load_file(checkpoint / "agent.safetensors")
    _, arrays = read_arrays(checkpoint)
    parts: Arrays = {name: tensor.numpy() for name, tensor in tensors.items() if name != _RNG}
    parts |= {f"community/{name}": value for name, value in read_community(checkpoint)["population"].items()}
    parts |= {f"pending/{name}": arrays[f"evolver/{name}"] for name in ("episodes", "successes", "returns")}
    total = hashlib.sha256()
    for name in sorted(parts):
        array = np.ascontiguousarray(parts[name])
        total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _optimised(agent: Agent) -> list[tuple[str, str, torch.nn.Parameter]]:
    named = [("temperature", "weight", agent.log_temperature)]
    for network in ("actor", "critics"):
        named += [(network, name, parameter) for name, parameter in getattr(agent, network).named_parameters()]
    return named


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
