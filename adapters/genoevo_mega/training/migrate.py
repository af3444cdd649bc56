"""Files of earlier versions, as today's.

run.json
    1: ``config.yaml`` has ``machine.overlap``; 2: ``machine.lag``; 3: today's names, see
    :mod:`genoevo_mega.config.renamed`.
checkpoint
    2: in ``checkpoint/``, the replay in one npy file for each of its rings, ``arrays.npz``, no manifest; 3: today's.

Version 1 of the checkpoint was never published.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genoevo_mega.agents.replay import Replay
from genoevo_mega.config.renamed import with_new_names
from genoevo_runs import files
from genoevo_runs.arrays import Arrays

CHECKPOINTS = ("checkpoint", "checkpoint.old")  # of version 2


def config(content: dict[str, Any], version: int) -> dict[str, Any]:
    """Return the settings of a run whose ``run.json`` has that *version*, under today's names."""
    if version >= 3:
        return content
    machine = content.get("machine")
    if version < 2 and isinstance(machine, dict) and "overlap" in machine:
        # A flag: whether updates lag behind by one step.
        rest = {name: value for name, value in machine.items() if name != "overlap"}
        content = {**content, "machine": {**rest, "lag": int(machine["overlap"] is True)}}
    return with_new_names(content)


def state(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a checkpoint's ``state.json``, of any version, as today's."""
    if content["version"] == 1:
        raise ValueError("version = 1: no run has it")
    if content["version"] == 2:
        # When the evaluation was made is not known; it is no later than this.
        return {**content, "version": 3, "metrics_sha256": None, "evaluated_at": content.get("steps")}
    return content


def is_version_2(checkpoint: Path) -> bool:
    """Return whether a checkpoint lies where version 2 wrote it."""
    return checkpoint.name in CHECKPOINTS


def read_arrays(checkpoint: Path) -> Arrays:
    """Return the episodes under way and the pending fitness of a checkpoint of version 2."""
    return files.read_npz(files.inside(checkpoint.parent, checkpoint / "arrays.npz"))


def load_replay(folder: Path, replay: Replay) -> None:
    """Fill *replay* from the rings of a checkpoint of version 2."""
    names = ("observations", "actions", "rewards", "terminated", "genotypes", "valid", "head", "filled")
    rings = {name: files.read_npy(files.inside(folder, folder / f"{name}.npy")) for name in names}
    with files.reading(folder):
        replay.load_rings(rings)
