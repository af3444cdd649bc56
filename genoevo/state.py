"""A run's whole state as one value, to and from one file.

A state is a dict of numpy arrays, JSON values and further such dicts. The file is an npz archive: the arrays, and
one JSON text for all the rest. Nothing is pickled, and reading runs no code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from genoevo.population import Population

State = dict[str, Any]
T = TypeVar("T")

FORMAT = "genoevo-state"
VERSION = 1
_JSON = "json"
_ARRAY = "$array"


def check_state(what: str, state: object, keys: Iterable[str], kind: str | None = None) -> None:
    """Raise ValueError unless *state*, that of *what*, is a dict of that *kind* and has all *keys*."""
    if not isinstance(state, dict):
        raise ValueError(f"the state of {what} must be a dict, got {type(state).__name__}")
    if kind is not None and state.get("kind") != kind:
        raise ValueError(f"this is the state of {state.get('kind')!r}, not of {kind!r}")
    if missing := [key for key in keys if key not in state]:
        raise ValueError(f"the state of {what} has no {missing[0]!r}")


def population_state(population: Population) -> State:
    """A population as arrays: words, lengths, fitness (n, objectives; NaN where unevaluated), and its weights."""
    fitness = population.fitness.reshape(len(population), -1)
    return {
        "words": population.words,
        "lengths": population.lengths,
        "fitness": np.array(fitness),
        "weights": list(population.weights),
    }


def population_from_state(state: State) -> Population:
    """The inverse of :func:`population_state`; shares nothing with *state*."""
    check_state("a population", state, ("words", "lengths", "fitness", "weights"))
    words = np.array(state["words"], dtype=np.uint64)
    lengths = np.array(state["lengths"], dtype=np.int64)
    if words.ndim != 2 or lengths.shape != words.shape[:1] or lengths.min(initial=1) < 1:
        raise ValueError(f"a population's words {words.shape} and lengths {lengths.shape} do not fit each other")
    if lengths.max(initial=0) > 64 * words.shape[1]:
        raise ValueError(f"a genotype of {lengths.max()} bits does not fit {words.shape[1]} words")
    fitness = np.asarray(state["fitness"])
    if fitness.shape != (len(words), len(state["weights"])):
        raise ValueError(f"a population of {len(words)} with weights {state['weights']} has fitness {fitness.shape}")
    return Population(words, lengths, fitness, state["weights"])


def seeded(seed: Any) -> np.random.Generator:
    """``numpy.random.default_rng(seed)``; ValueError where it is not of PCG64, the one kind that a state can hold."""
    rng = np.random.default_rng(seed)
    _check_kind(rng.bit_generator.state["bit_generator"])
    return rng


def generator_state(rng: np.random.Generator) -> State:
    """A generator's state as JSON values."""
    return dict(rng.bit_generator.state)


def generator_from_state(state: State) -> np.random.Generator:
    """The inverse of :func:`generator_state`; ValueError for any bit generator but PCG64, and where it is damaged."""
    check_state("a generator", state, ("bit_generator",))
    _check_kind(state["bit_generator"])
    rng = np.random.default_rng(0)
    try:
        rng.bit_generator.state = state
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"the state of a generator is damaged: {error!r}") from error
    return rng


def _check_kind(kind: object) -> None:
    if kind != "PCG64":
        raise ValueError(f"the generator must be PCG64, got {kind!r}")


def rebuild(settings: type[T], values: State) -> T:
    """A settings dataclass from its ``asdict``, nested ones too; ValueError names an unknown or missing field."""
    known = {field.name: field.default for field in fields(settings)}  # type: ignore[arg-type]
    check_state(settings.__name__, values, known)
    if unknown := set(values) - set(known):
        raise ValueError(f"{settings.__name__} has no setting {sorted(unknown)[0]!r}")
    nested = {name: type(default) for name, default in known.items() if is_dataclass(default)}
    parts = {name: rebuild(nested[name], v) if name in nested else v for name, v in values.items()}
    try:
        return settings(**parts)
    except TypeError as error:
        raise ValueError(f"the state of {settings.__name__} is damaged: {error}") from error


def save(path: str | os.PathLike[str], state: State) -> None:
    """Write *state* to one file, atomically: the old file stays until the new one is on disk."""
    path = Path(path)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    text = json.dumps({"format": FORMAT, "version": VERSION, "state": _split(state, "", arrays)})
    arrays[_JSON] = np.frombuffer(text.encode(), dtype=np.uint8)
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> State:
    """Read what :func:`save` wrote. ValueError says what is wrong with a damaged, foreign or newer file."""
    try:
        # Opened here: np.load leaves its own handle open where the archive is damaged.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        content = json.loads(arrays.pop(_JSON).tobytes())
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile, numpy and json raise a dozen unrelated errors on damaged bytes
        raise ValueError(f"{path} is no state file of genoevo or is damaged: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is no state file of genoevo")
    if content.get("version") != VERSION:
        raise ValueError(f"{path} has format version {content.get('version')!r}; this genoevo reads {VERSION}")
    try:
        state: State = _join(content["state"], arrays)
    except KeyError as error:
        raise ValueError(f"{path} is damaged: it has no {error}") from error
    return state


def _split(value: Any, name: str, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError(f"{name} is an array of objects; a state holds numbers and text")
        # The number keeps the key "a.b" apart from "b" inside "a", and every entry from savez's own arguments.
        entry = f"{len(arrays)}.{name}"
        arrays[entry] = value
        return {_ARRAY: entry}
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            raise ValueError(f"the one key {_ARRAY!r} of {name or 'the state'} stands for an array in the file")
        return {key: _split(item, f"{name}.{key}" if name else key, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_split(item, f"{name}.{i}", arrays) for i, item in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def _join(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {key: _join(item, arrays) for key, item in value.items()}
    return [_join(item, arrays) for item in value] if isinstance(value, list) else value
