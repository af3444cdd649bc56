"""A digest of the learnt state of a run, by which two runs are compared."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from genoevo_mega.training import agent_state, checkpoint
from genoevo_mega.training.checkpoint_files import AGENT, ARRAYS, COMMUNITY
from genoevo_runs import files
from genoevo_runs.arrays import Arrays


def digest(path: Path) -> str:
    """Return a SHA-256 of weights, optimizer state, populations, fitness and records; equal runs have equal ones.

    Steps under way, which ``schedule.action_lag`` above 0 leaves, are part of it.
    """
    structure = checkpoint.read_structure(path)
    stored = checkpoint.read_arrays(path)
    arrays = checkpoint.part_of("evolver/", stored)
    parts: Arrays = {name: tensor.numpy() for name, tensor in agent_state.read(path / AGENT).items()}
    del parts[agent_state.RNG]
    with files.reading(path / COMMUNITY):
        parts |= _arrays("population", structure.get("population", {}))
        parts |= _arrays("record", structure.get("record", {}))
        parts |= _arrays("frontier", structure.get("archive", {}))
    with files.reading(path / ARRAYS):
        parts |= {f"pending/{name}": arrays[name] for name in ("episodes", "successes", "returns")}
        parts |= {name: array for name, array in arrays.items() if name.startswith("relaxed_")}
        parts |= {name: array for name, array in stored.items() if name.startswith("episodes/under_way/")}
    total = hashlib.sha256()
    for name in sorted(parts):
        array = np.ascontiguousarray(parts[name])
        total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _arrays(part: str, values: object) -> Arrays:
    """Return nested dicts of *values* as arrays by path; ValueError if they are no such dicts."""
    if not isinstance(values, dict):
        raise ValueError(f"{part} must be values by name")
    found: Arrays = {}
    for name, value in values.items():
        path = f"{part}/{name}"
        found |= _arrays(path, value) if isinstance(value, dict) else {path: np.asarray(value)}
    return found
