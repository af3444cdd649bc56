"""A digest of the learnt state of a run, by which two runs are compared."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from genoevo_mega.training import agent_state, checkpoint
from genoevo_mega.training.checkpoint_files import AGENT, ARRAYS
from genoevo_runs import files
from genoevo_runs.arrays import Arrays


def digest(path: Path) -> str:
    """Return a SHA-256 of weights, optimizer state, populations and fitness; equal runs have equal digests."""
    population = checkpoint.read_structure(path).get("population", {})
    arrays = checkpoint.part_of("evolver/", checkpoint.read_arrays(path))
    parts: Arrays = {name: tensor.numpy() for name, tensor in agent_state.read(path / AGENT).items()}
    del parts[agent_state.RNG]
    parts |= {f"population/{name}": np.asarray(value) for name, value in population.items()}
    with files.reading(path / ARRAYS):
        parts |= {f"pending/{name}": arrays[name] for name in ("episodes", "successes", "returns")}
        parts |= {name: array for name, array in arrays.items() if name.startswith("relaxed_")}
    total = hashlib.sha256()
    for name in sorted(parts):
        array = np.ascontiguousarray(parts[name])
        total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        total.update(array.tobytes())
    return total.hexdigest()
