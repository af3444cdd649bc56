"""A state in one file: an npz archive of its arrays, and of one JSON text for everything else.

Nothing is pickled, and reading runs no code.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from genoevo._types import Arrays
from genoevo.state import npz
from genoevo.state._migrate import migrated
from genoevo.state.parts import State, check_array
from genoevo.state.values import json_key, json_leaf

FORMAT = "genoevo-state"
VERSION = 2
_JSON = "json"
_ARRAY = "$array"


def save(path: str | os.PathLike[str], state: State) -> None:
    """Write *state* to one file, atomically: the old file stays until the new one is on disk.

    Tuples become lists, numbers of numpy those of Python, enumerations their values and paths text. Raises OSError
    if the file cannot be written, and TypeError or ValueError, which names the entry, for a value that could not be
    read back.
    """
    arrays: Arrays = {}
    text = json.dumps({"format": FORMAT, "version": VERSION, "state": _split(state, "", arrays)})
    arrays[_JSON] = np.frombuffer(text.encode(), dtype=np.uint8)
    npz.write(Path(path), arrays)


def load(path: str | os.PathLike[str]) -> State:
    """Read what :func:`save` wrote, in this format version or an earlier one.

    Raises FileNotFoundError if there is no file, and ValueError for a corrupt, foreign or newer one. Takes at most
    a few times the memory of the file, whatever the file contains.
    """
    try:
        arrays = npz.read(Path(path))
        text = check_array(_JSON, arrays.pop(_JSON, None), np.uint8, (None,))
        content = json.loads(text.tobytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a state file of genoevo, or it is corrupt: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a state file of genoevo")
    version = content.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ValueError(f"{path} has format version {version!r:.80}; this genoevo reads 1 to {VERSION}")
    try:
        state: State = _join(content["state"], arrays)
        return migrated(state) if version < VERSION else state
    except KeyError as error:
        raise ValueError(f"{path} is corrupt: it has no {error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is corrupt: {error}") from error


def _split(value: Any, name: str, arrays: Arrays) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in npz.KINDS or not value.dtype.itemsize:
            raise TypeError(f"{name} must be an array of numbers or text, got {value.dtype}")
        # The number keeps the key "a.b" apart from "b" inside "a", and every entry from savez's own arguments. NUL
        # would end a name in the archive.
        entry = f"{len(arrays)}.{name}".partition("\0")[0]
        arrays[entry] = value
        return {_ARRAY: entry}
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            raise ValueError(f"{name or 'the state'} must not have the one key {_ARRAY!r}, which marks an array")
        return {
            json_key(name or "the state", key): _split(item, f"{name}.{key}" if name else str(key), arrays)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_split(item, f"{name}.{i}", arrays) for i, item in enumerate(value)]
    return json_leaf(name, value)


def _join(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            entry = value[_ARRAY]
            if not isinstance(entry, str):
                raise ValueError(f"an array must have a name, got {entry!r:.80}")
            if entry not in arrays:
                raise KeyError(entry[:80])
            return arrays[entry]
        return {key: _join(item, arrays) for key, item in value.items()}
    return [_join(item, arrays) for item in value] if isinstance(value, list) else value
