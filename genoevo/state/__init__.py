"""The whole state of a search as one value, written to one file and read back.

A state is a dict of numpy arrays, JSON values and further such dicts. The file is an npz archive of the arrays, and
of one JSON text for everything else. Nothing is pickled, and reading runs no code.
:class:`genoevo.checkpoint.Checkpoint` saves a search as it runs.
"""

from genoevo.state.file import FORMAT, VERSION, load, save
from genoevo.state.parts import (
    LATER,
    State,
    check_array,
    check_state,
    counts,
    generator_from_state,
    generator_state,
    population_from_state,
    population_state,
    rebuild,
    seeded,
    settings_state,
)

__all__ = [
    "FORMAT",
    "LATER",
    "VERSION",
    "State",
    "check_array",
    "check_state",
    "counts",
    "generator_from_state",
    "generator_state",
    "load",
    "population_from_state",
    "population_state",
    "rebuild",
    "save",
    "seeded",
    "settings_state",
]
