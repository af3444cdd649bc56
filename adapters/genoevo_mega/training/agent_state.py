"""The agent as tensors by name, written to and read from ``agent.safetensors``."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from genoevo_mega.agents.sac import SacAgent
from genoevo_mega.training import migrate
from genoevo_mega.training.checkpoint_files import FORMAT, VERSION
from genoevo_runs import files

RNG = "rng"
_TEMPERATURE = "temperature/weight"
_NORMALISER = "normalise/"
_NETWORKS = {"actor": "actor", "averaged": "actor_ema", "critics": "critics", "targets": "target_critics"}
"""The agent's networks by their names in the file."""


def tensors(agent: SacAgent) -> dict[str, Tensor]:
    """Return copies, on the CPU, of everything that updates change."""
    found = {_TEMPERATURE: agent.log_temperature, RNG: agent.rng.get_state()}
    for in_file, network in _NETWORKS.items():
        for name, tensor in getattr(agent, network).state_dict().items():
            found[f"{in_file}/{name}"] = tensor
    for optimizer, name, parameter in _optimized(agent):
        for key, value in getattr(agent.optimizers, optimizer).state[parameter].items():
            found[f"adam/{optimizer}/{name}/{key}"] = value
    found |= {f"{_NORMALISER}{name}": torch.from_numpy(a) for name, a in agent.normaliser.state_arrays().items()}
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in found.items()}


def read(path: Path) -> dict[str, Tensor]:
    """Return all tensors of a checkpoint's file; CorruptFileError if it is corrupt."""
    marked = not migrate.is_version_2(path.parent)
    with files.open_tensors(path, FORMAT if marked else None, VERSION, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def load(path: Path, agent: SacAgent) -> None:
    """Restore an agent of the same sizes; CorruptFileError if the tensors do not fit it."""
    found = read(path)
    with files.reading(path):
        expected = {name: tensor for name, tensor in tensors(agent).items() if not name.startswith("adam/")}
        for optimizer, name, parameter in _optimized(agent):
            prefix = f"adam/{optimizer}/{name}/"
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
            if not (name.startswith("adam/") or found[name].isfinite().all()):
                raise ValueError(f"{name} must be finite")
        try:
            agent.rng.set_state(found[RNG])
        except RuntimeError as error:  # torch's own check
            raise ValueError(f"{RNG}: {error}") from None
        statistics = {name: tensor.numpy() for name, tensor in found.items() if name.startswith(_NORMALISER)}
        agent.normaliser.load_arrays({name.removeprefix(_NORMALISER): array for name, array in statistics.items()})
    agent.log_temperature.data.copy_(found[_TEMPERATURE])
    for in_file, network in _NETWORKS.items():
        prefix = f"{in_file}/"
        own = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
        getattr(agent, network).load_state_dict(own)
    for optimizer, name, parameter in _optimized(agent):
        prefix = f"adam/{optimizer}/{name}/"
        state = {
            key.removeprefix(prefix): tensor.to(parameter.device)
            for key, tensor in found.items()
            if key.startswith(prefix)
        }
        if state:
            getattr(agent.optimizers, optimizer).state[parameter] = state


def _optimized(agent: SacAgent) -> list[tuple[str, str, torch.nn.Parameter]]:
    named = [("temperature", "weight", agent.log_temperature)]
    for network in ("actor", "critics"):
        named += [(network, name, parameter) for name, parameter in getattr(agent, network).named_parameters()]
    return named
