"""The parts of a state: populations, generators, settings and counts, as arrays and JSON values and back.

A state is a dict of numpy arrays, JSON values and further such dicts; :mod:`genoevo.state.file` keeps it in a file.
Every value that is read back is checked, because the file may come from anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import MappingProxyType, NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from genoevo._check import check_whole
from genoevo._numbers import as_weights
from genoevo._rows import check_packed
from genoevo._types import AnyArray
from genoevo.population import Population

State = dict[str, Any]
T = TypeVar("T")

LATER: Mapping[str, bool] = MappingProxyType({"later": True})
"""The metadata of a setting that states of the present format may lack: its default is what was done without it."""


def check_state(what: str, state: object, keys: Iterable[str], kind: str | None = None) -> None:
    """Raise ValueError unless *state*, the state of *what*, is a dict of that *kind* and has all *keys*."""
    if not isinstance(state, dict):
        raise ValueError(f"the state of {what} must be a dict, got {type(state).__name__}")
    if kind is not None and state.get("kind") != kind:
        raise ValueError(f"this is the state of {state.get('kind')!r:.80}, not of {kind!r}")
    if missing := [key for key in keys if key not in state]:
        raise ValueError(f"the state of {what} has no {missing[0]!r}")


def check_array(name: str, value: object, dtype: type, shape: Sequence[int | None]) -> AnyArray:
    """Return a copy of *value* as *dtype*; ValueError unless it is an array of that kind and *shape* (None: any)."""
    kind = np.dtype(dtype).kind
    if not isinstance(value, np.ndarray) or value.dtype.kind != kind:
        got = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
        raise ValueError(f"{name} must be an array of {np.dtype(dtype)}, got {got}")
    if value.ndim != len(shape) or any(b not in (None, a) for a, b in zip(value.shape, shape, strict=True)):
        allowed = ", ".join("any" if side is None else str(side) for side in shape)
        raise ValueError(f"{name} must be of shape ({allowed}), got {value.shape}")
    return np.array(value, dtype=dtype)


def population_state(population: Population) -> State:
    """Return a population's words, lengths, fitness (n, objectives; NaN for unevaluated) and weights."""
    fitness = population.fitness.reshape(len(population), -1)
    return {
        "words": population.words,
        "lengths": population.lengths,
        "fitness": np.array(fitness),
        "weights": list(population.weights),
    }


def population_from_state(state: State) -> Population:
    """Return the population of a state, which shares nothing with it; ValueError names what does not fit."""
    check_state("a population", state, ("words", "lengths", "fitness", "weights"))
    weights = as_weights("a population's weights", state["weights"])
    words = check_array("a population's words", state["words"], np.uint64, (None, None))
    lengths = check_array("a population's lengths", state["lengths"], np.int64, (None,))
    check_packed(words, lengths)
    fitness = check_array("a population's fitness", state["fitness"], np.float64, (len(words), len(weights)))
    return Population(words, lengths, fitness, weights)


def seeded(seed: Any) -> np.random.Generator:
    """Return ``numpy.random.default_rng(seed)``; ValueError unless it is of PCG64, the only kind a state can hold."""
    rng = np.random.default_rng(seed)
    _check_kind(rng.bit_generator.state["bit_generator"])
    return rng


def generator_state(rng: np.random.Generator) -> State:
    """Return a generator's state as JSON values."""
    return dict(rng.bit_generator.state)


def generator_from_state(state: State) -> np.random.Generator:
    """Return the generator of a state; ValueError for a bit generator other than PCG64, or a corrupt state."""
    check_state("a generator", state, ("bit_generator",))
    _check_kind(state["bit_generator"])
    rng = np.random.default_rng(0)
    try:
        rng.bit_generator.state = state
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"the state of a generator is corrupt: {error!r:.200}") from error
    return rng


def _check_kind(kind: object) -> None:
    if kind != "PCG64":
        raise ValueError(f"the generator must be PCG64, got {kind!r:.80}")


def settings_state(settings: Any) -> State:
    """Return a settings dataclass as a dict, with nested ones, for :func:`rebuild`.

    Settings of ``LATER`` are left out at their default: earlier versions read such a state too.
    """
    values = {field.name: (field, getattr(settings, field.name)) for field in fields(settings)}
    return {
        name: settings_state(value) if is_dataclass(value) else value
        for name, (field, value) in values.items()
        if not (field.metadata == LATER and value == field.default)
    }


def rebuild(settings: type[T], values: State) -> T:
    """Return a settings dataclass from its :func:`settings_state`, with nested ones.

    ValueError names a field that is unknown, missing, or not of its type. One of ``LATER`` may be missing.
    """
    known = {field.name: field.default for field in fields(settings)}  # type: ignore[arg-type]
    needed = [field.name for field in fields(settings) if field.metadata != LATER]  # type: ignore[arg-type]
    check_state(settings.__name__, values, needed)
    if unknown := set(values) - set(known):
        raise ValueError(f"{settings.__name__} has no setting {min(map(str, unknown))!r:.80}")
    types = get_type_hints(settings)
    parts = {}
    for name, value in values.items():
        if is_dataclass(known[name]):
            parts[name] = rebuild(type(known[name]), value)
        elif _is_of(types[name], value):
            parts[name] = value
        else:
            allowed = getattr(types[name], "__name__", str(types[name]))
            raise ValueError(f"{settings.__name__}.{name} must be of type {allowed}, got {value!r:.80}")
    return settings(**parts)


def _is_of(kind: Any, value: object) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str)  # which one, the settings check
    if get_origin(kind) is tuple:  # of any number; a file gives a list
        return isinstance(value, list | tuple) and all(_is_of(get_args(kind)[0], item) for item in value)
    if get_args(kind):
        return any(_is_of(part, value) for part in get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, NoneType if kind is None else kind)


def counts(state: State, names: Iterable[str]) -> dict[str, int]:
    """Return those entries of *state*, each a whole number of at least 0; ValueError for anything else."""
    for name in names:
        check_whole(name, state[name], 0)
    return {name: state[name] for name in names}
