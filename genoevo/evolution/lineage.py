"""The lineage: the parents of every genotype, and the operator that made it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from genoevo._check import check_between, check_integer, shown
from genoevo._frame import data_frame, fitness_columns
from genoevo._optional import optional
from genoevo._types import AnyArray, Floats, Ints, Origins
from genoevo.operators.reproduction import Origin
from genoevo.state import State, check_array, check_state

Array = TypeVar("Array", bound=AnyArray)

GIVEN = -1
_NAMES = {GIVEN: "given"} | {origin.value: origin.name.lower() for origin in Origin}


class Lineage:
    """The lineage of a run: one entry per evaluated genotype, numbered from 0 in the order of evaluation.

    Attributes
    ----------
    operators : dict
        The name of each of the user's own operators, by what it does, such as ``{"crossover": "mine:swap"}``.

    """

    def __init__(self, objectives: int, operators: Mapping[str, str] = MappingProxyType({})) -> None:
        self.operators = dict(operators)
        # One array of each kind per generation, joined when one is read.
        self._parents = [np.zeros((0, 2), np.int64)]
        self._origins = [np.zeros(0, np.int8)]
        self._generations = [np.zeros(0, np.int64)]
        self._fitness = [np.zeros((0, objectives))]

    def record(self, parents: Ints, origins: Origins, generation: int, fitness: Floats) -> None:
        """Append a generation's genotypes, in order. The arrays are those of the properties."""
        self._parents.append(parents)
        self._origins.append(origins)
        self._generations.append(np.full(len(parents), generation))
        self._fitness.append(fitness.reshape(len(parents), -1))

    @property
    def parents(self) -> Ints:
        """The parents' numbers, (n, 2) int64, -1 for none.

        Mutation has one parent; fresh genotypes and those of the first generation have none.
        """
        return _joined(self._parents)

    @property
    def origins(self) -> Origins:
        """The :class:`~genoevo.operators.reproduction.Origin` codes, (n,) int8; -1 in the first generation."""
        return _joined(self._origins)

    @property
    def generations(self) -> Ints:
        """The generation in which each genotype was evaluated, (n,) int64, counted from 1."""
        return _joined(self._generations)

    @property
    def fitness(self) -> Floats:
        """The fitness of each genotype, (n, objectives) float64."""
        return _joined(self._fitness)

    def __len__(self) -> int:
        return len(self.parents)

    def ancestors(self, number: int) -> Ints:
        """Return the sorted numbers of genotype *number* and of all its ancestors.

        Raises ValueError if there is no such genotype.
        """
        check_integer("number", number)
        check_between("number", number, 0, len(self) - 1)
        found = np.zeros(len(self), dtype=bool)
        newest = np.array([number])
        while len(newest):
            found[newest] = True
            parents = np.unique(self.parents[newest])
            newest = parents[(parents >= 0) & ~found[parents]]
        return np.flatnonzero(found)

    def graph(self) -> Any:
        """Return a ``networkx.DiGraph`` with an edge from each parent to its child.

        Nodes are numbers, with ``origin`` (``given``, ``crossover``, ``mutation`` or ``fresh``), ``generation`` and
        ``fitness``, a tuple. A node that own operators made also has ``operators``, a tuple of their names. Raises
        ImportError if networkx is not installed.
        """
        graph = optional("networkx", "a lineage's graph", "networkx").DiGraph()
        columns = self.origins.tolist(), self.generations.tolist(), self.fitness.tolist()
        for number, (origin, generation, fitness) in enumerate(zip(*columns, strict=True)):
            own = {"operators": names} if (names := self.made_by(origin)) else {}
            graph.add_node(number, origin=_NAMES[origin], generation=generation, fitness=tuple(fitness), **own)
        child, side = np.nonzero(self.parents >= 0)
        graph.add_edges_from(zip(self.parents[child, side].tolist(), child.tolist(), strict=True))
        return graph

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame`` with a row for each genotype, by its number.

        The columns are generation, origin (``given``, ``crossover``, ``mutation`` or ``fresh``), parent_1 and
        parent_2 (-1 for none), operators (the names of own operators, joined by commas), and the fitness; of several
        objectives it is ``fitness_1``, ``fitness_2``, ... Raises ImportError if pandas is not installed.
        """
        origins = self.origins.tolist()
        columns = {
            "generation": self.generations.copy(),
            "origin": [_NAMES[origin] for origin in origins],
            "parent_1": self.parents[:, 0].copy(),
            "parent_2": self.parents[:, 1].copy(),
            "operators": [", ".join(self.made_by(origin)) for origin in origins],
        }
        return data_frame("a lineage", columns | fitness_columns(self.fitness.copy()), "number")

    def made_by(self, origin: int) -> tuple[str, ...]:
        """Return the names of the own operators that genotypes of that origin come from, in their order."""
        slots = _SLOTS.get(origin, ())
        return tuple(self.operators[slot] for slot in slots if slot in self.operators)

    def state_dict(self) -> State:
        """Return the four arrays, and the names of own operators if there are any."""
        named = {"operators": dict(self.operators)} if self.operators else {}
        return {name: getattr(self, name) for name in _ARRAYS} | named

    @classmethod
    def from_state(cls, state: State, objectives: int | None = None) -> Lineage:
        """Return the lineage of what :meth:`state_dict` gave; ValueError names what is missing or does not fit."""
        check_state("a lineage", state, _ARRAYS)
        parents = check_array("a lineage's parents", state["parents"], np.int64, (None, 2))
        n = len(parents)
        fitness = check_array("a lineage's fitness", state["fitness"], np.float64, (n, objectives))
        operators = state.get("operators", {})
        if not isinstance(operators, dict) or not all(isinstance(name, str) for name in operators.values()):
            raise ValueError(f"a lineage's operators must be a dict of names, got {shown(operators)}")
        lineage = cls(fitness.shape[1], operators)
        lineage._parents, lineage._fitness = [parents], [fitness]
        lineage._origins = [check_array("a lineage's origins", state["origins"], np.int8, (n,))]
        lineage._generations = [check_array("a lineage's generations", state["generations"], np.int64, (n,))]
        return lineage


# What has made a genotype of each origin; selection and survival choose and make nothing.
_SLOTS = {
    GIVEN: ("repair",),
    Origin.CROSSOVER: ("crossover", "mutation", "repair"),
    Origin.MUTATION: ("mutation", "repair"),
    Origin.FRESH: ("repair",),
}
_ARRAYS = ("parents", "origins", "generations", "fitness")


def _joined(parts: list[Array]) -> Array:
    if len(parts) > 1:
        parts[:] = [np.concatenate(parts)]  # type: ignore[list-item]
    return parts[0]
