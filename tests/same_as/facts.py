"""What a run or a search came to, as values by name, read from its files alone.

Files are read without genoevo: what is compared must not pass through the code that is checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import deserialize

Facts = dict[str, str]
"""Values by slash-separated name: JSON text of scalars and short lists, dtype, shape and SHA-256 of arrays."""

VERSION = 2
"""Of what is read and under which names: one more where that changes, so that nothing older is taken for the same."""

MEASURED = {
    "info": ("time", "budget", "checkpoint", "machines"),
    "state": (
        "format",
        "version",
        "time",
        "work/rollout_seconds",
        "work/matrix_rate",
        "metrics_offset",
        "metrics_sha256",
    ),
}
"""What of ``info --json`` and of a checkpoint's ``state.json`` is measured time, a fact of the machine, a file's name
or version, or is compared value by value elsewhere."""

_LONGEST = 100  # characters of a value that is shown as it is


def flat(name: str, value: Any) -> Facts:
    """*value*, nested dicts and lists of JSON values and arrays, as facts under *name*."""
    if isinstance(value, Mapping):
        return _joined(flat(f"{name}/{key}", item) for key, item in value.items())
    if isinstance(value, np.ndarray):
        return {name: _array(value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes())}
    if isinstance(value, list) and any(isinstance(item, Mapping | list | np.ndarray) for item in value):
        items = _joined(flat(f"{name}/{i}", item) for i, item in enumerate(value))
        return {f"{name}/count": str(len(value)), **items}
    text = json.dumps(value)
    return {name: text if len(text) <= _LONGEST else f"{text[:20]}... {_sha256(text.encode())}"}


def _joined(parts: Iterable[Facts]) -> Facts:
    return {name: value for part in parts for name, value in part.items()}


def _array(dtype: str, shape: Iterable[int], data: bytes) -> str:
    return f"{dtype} {tuple(shape)} {_sha256(data)}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def without(facts: Facts, name: str, left_out: Iterable[str]) -> Facts:
    """*facts* but those of the parts *left_out* of *name*."""
    prefixes = tuple(f"{name}/{part}" for part in left_out)
    return {key: value for key, value in facts.items() if not is_under(key, prefixes)}


def is_under(key: str, prefixes: Iterable[str]) -> bool:
    """Whether a name is one of *prefixes* or below it."""
    return any(key == prefix or key.startswith(f"{prefix}/") for prefix in prefixes)


# ------------------------------------------------------------------------------------------------------- from files


def of_tensors(name: str, path: Path) -> Facts:
    """Every tensor of a safetensors file."""
    tensors = deserialize(path.read_bytes())
    return {f"{name}/{key}": _array(entry["dtype"], entry["shape"], bytes(entry["data"])) for key, entry in tensors}


def of_state(name: str, path: Path) -> Facts:
    """Every value of a file of :mod:`genoevo.state`: an npz archive of arrays and one JSON text."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    content = json.loads(arrays["json"].tobytes())

    def restored(value: Any) -> Any:
        if isinstance(value, dict):
            if set(value) == {"$array"}:
                return arrays[value["$array"]]
            return {key: restored(item) for key, item in value.items()}
        return [restored(item) for item in value] if isinstance(value, list) else value

    return flat(name, restored(content["state"]))


def of_metrics(path: Path) -> Facts:
    """Every value of every line of ``metrics.jsonl``, and how many lines there are."""
    lines = path.read_text(encoding="utf-8").splitlines()
    values = _joined(flat(f"metrics/{number}", json.loads(line)) for number, line in enumerate(lines, 1))
    return {"metrics/lines": str(len(lines)), **values}


def of_run(directory: Path, info: dict[str, Any], *, replay: bool) -> Facts:
    """A run's facts: *info*, as its command printed it, ``metrics.jsonl`` and every file of its newest checkpoint.

    With *replay*, the replay's files too. Into how many it is divided depends on when a run was stopped.
    """
    newest = max(path for path in (directory / "checkpoints").iterdir() if path.name[-1].isdigit())
    facts = without(flat("info", info), "info", MEASURED["info"]) | of_metrics(directory / "metrics.jsonl")
    state = json.loads((newest / "state.json").read_text(encoding="utf-8"))
    facts |= without(flat("state", state), "state", MEASURED["state"])
    for path in sorted(newest.glob("*.safetensors")):
        facts |= of_tensors(path.stem, path)
    for path in sorted(newest.glob("*.npz")):
        facts |= of_state(path.stem, path)
    for path in sorted((directory / "replay").glob("*.safetensors")) if replay else ():
        facts |= of_tensors(f"replay/{path.stem}", path)
    return facts
