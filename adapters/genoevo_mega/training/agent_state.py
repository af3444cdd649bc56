"""The agent as named tensors, to and from ``agent.safetensors``."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from genoevo_mega.agents.sac import Agent
from genoevo_mega.training import migrate
from genoevo_mega.training.checkpoint_files import FORMAT, VERSION
from genoevo_runs import files

RNG = "rng"
_TEMPERATURE = "temperature/weight"
_NETWORKS = ("actor", "averaged", "critics", "targets")


def tensors(agent: Agent) -> dict[str, Tensor]:
    """Copies of everything that updates change, in the main memory."""
    found = {_TEMPERATURE: agent.log_temperature, RNG: agent.rng.get_state()}
    for network in _NETWORKS:
        for name, tensor in getattr(agent, network).state_dict().items():
            found[f"{network}/{name}"] = tensor
    for optimiser, name, parameter in _optimised(agent):
        for key, value in agent.optimisers[optimiser].state[parameter].items():
            found[f"adam/{optimiser}/{name}/{key}"] = value
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in found.items()}


def read(path: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint's file; DamagedError where it is not whole."""
    marked = not migrate.is_version_2(path.parent)
    with files.open_tensors(path, FORMAT if marked else None, VERSION, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def load(path: Path, agent: Agent) -> None:
    """Fill an agent of the same sizes; DamagedError where the tensors do not fit it."""
    found = read(path)
    with files.reading(path):
        expected = {name: tensor for name, tensor in tensors(agent).items() if not name.startswith("adam/")}
        for optimiser, name, parameter in _optimised(agent):
            prefix = f"adam/{optimiser}/{name}/"
            if any(key.startswith(prefix) for key in found):  # a module that was never trained has no state
                expected |= {f"{prefix}exp_avg": parameter.detach(), f"{prefix}exp_avg_sq": parameter.detach()}
                expected[f"{prefix}step"] = torch.tensor(0.0)
        if differing := expected.keys() ^ found.keys():
            raise ValueError(f"it does not fit the run's config: {sorted(differing)[0]} is in one of them alone")
        for name, tensor in expected.items():
            if found[name].shape != tensor.shape or found[name].dtype != tensor.dtype:
                raise ValueError(
                    f"it does not fit the run's config: {name} is {found[name].dtype}{tuple(found[name].shape)}, "
                    f"not {tensor.dtype}{tuple(tensor.shape)}"
                )
        agent.rng.set_state(found[RNG])
    agent.log_temperature.data.copy_(found[_TEMPERATURE])
    for network in _NETWORKS:
        prefix = f"{network}/"
        own = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
        getattr(agent, network).load_state_dict(own)
    for optimiser, name, parameter in _optimised(agent):
        prefix = f"adam/{optimiser}/{name}/"
        state = {
            key.removeprefix(prefix): tensor.to(parameter.device)
            for key, tensor in found.items()
            if key.startswith(prefix)
        }
        if state:
            agent.optimisers[optimiser].state[parameter] = state


def _optimised(agent: Agent) -> list[tuple[str, str, torch.nn.Parameter]]:
    named = [("temperature", "weight", agent.log_temperature)]
    for network in ("actor", "critics"):
        named += [(network, name, parameter) for name, parameter in getattr(agent, network).named_parameters()]
    return named
