"""From parameters to genes, the inverse of decoding: for searches that start from parameters which are known."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import joblib
import numpy as np

from genoevo import StagedLayout
from genoevo._check import is_number, is_whole, shown
from genoevo_sklearn.space.codes import Codes
from genoevo_sklearn.space.structures import Choice, Graph, Group, ListOf, growing
from genoevo_sklearn.space.values import Categorical, Dimension, Float, Integer


@dataclass
class Encoding:
    """The numbers of genes that mean given parameters.

    Parameters
    ----------
    top
        The highest number of a gene.
    rng
        Draws the genes that make no difference: of options that are not chosen, and past the length of a list.
    varying
        The list or graph whose size is the genotype's length, if there is one.

    Attributes
    ----------
    elements : list of list of int
        The numbers of each element of that list, if the parameters have it.
    reads : list of int
        For each connection that a graph could have, 1 if it has that, else 0.

    """

    top: int
    rng: np.random.Generator
    varying: ListOf | Graph | None
    elements: list[list[int]] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)

    def of(self, what: str, dimension: Dimension, value: Any) -> list[int]:
        """Return the genes of *dimension* that mean *value*, without those of *varying*.

        Of an Integer or Float, the value that is nearest. Raises ValueError, which names *what*, for a value that the
        dimension does not have.
        """
        if isinstance(dimension, Group):
            return self._of_group(what, dimension, value)
        if isinstance(dimension, ListOf):
            return self._of_list(what, dimension, value)
        if isinstance(dimension, Graph):
            self._of_graph(what, dimension, value)
            return []
        if isinstance(dimension, Integer | Float):
            return [self._nearest(what, dimension, value)]
        if isinstance(dimension, Categorical):
            return [self._first(_places(what, value, dimension.options)[0], dimension.levels)]
        if isinstance(dimension, Choice):  # in a list, where no option has parameters
            return [self._first(_places(what, value, dimension.values)[0], len(dimension.options))]
        raise ValueError(f"{what} cannot be given: a {type(dimension).__name__} is not a dimension of this package")

    def _nearest(self, what: str, dimension: Integer | Float, value: Any) -> int:
        if not (is_number(value) and dimension.low <= value <= dimension.high):
            raise ValueError(f"{what} must be from {dimension.low} to {dimension.high}, got {shown(value)}")

        def meant(code: int) -> float:
            return float(dimension.decoded(Codes([code], self.top)).value)

        above = bisect_left(range(self.top), value, key=meant)
        return min((above, max(above - 1, 0)), key=lambda code: abs(meant(code) - value))

    def complete(self, varying: ListOf | Graph | None) -> None:
        """Draw the list or graph if it belongs to an option that is not chosen."""
        if varying is None or self.elements or self.reads:
            return
        size = int(self.rng.integers(varying.minimum, varying.maximum + 1))
        if isinstance(varying, ListOf):
            self.elements = self.rng.integers(0, self.top + 1, (size, varying.genes_each)).tolist()
        else:
            self.reads = self.rng.integers(0, 2, StagedLayout(1).length(size)).tolist()

    def _of_group(self, what: str, group: Group, values: Any) -> list[int]:
        if not isinstance(values, Mapping):
            raise ValueError(f"{what} must be a dict of parameters, got {shown(values)}")
        genes, used = self._named(what, group, values)
        if unknown := [name for name in values if name not in used]:
            raise ValueError(f"{what} must have only {', '.join(used)}, got {shown(unknown[0])}")
        return genes

    def _named(self, what: str, group: Group, values: Mapping[str, Any]) -> tuple[list[int], list[str]]:
        """Return the genes of a group, and the names that were read: those of chosen options lie beside it."""
        genes, used = list[int](), list[str]()
        for name, dimension in group.parameters.items():
            if name not in values:
                raise ValueError(f"{what} must have {name!r}, got {shown(dict(values))}")
            used.append(name)
            if not isinstance(dimension, Choice):
                genes += self.of(f"{what}[{name!r}]", dimension, values[name])
                continue
            more, names = self._of_choice(what, name, dimension, values)
            genes += more
            used += names
        return genes, used

    def _of_choice(
        self, what: str, name: str, choice: Choice, values: Mapping[str, Any]
    ) -> tuple[list[int], list[str]]:
        """Return the genes of a choice and its options, and the names that were read.

        Of several options with that value, the first whose parameters fit.
        """
        *others, last = _places(f"{what}[{name!r}]", values[name], choice.values)
        before = self.varying, self.elements, self.reads
        for place in others:
            try:
                return self._chosen(what, choice, place, values)
            except ValueError:
                self.varying, self.elements, self.reads = before
        return self._chosen(what, choice, last, values)

    def _chosen(
        self, what: str, choice: Choice, place: int, values: Mapping[str, Any]
    ) -> tuple[list[int], list[str]]:
        genes, used = [self._first(place, len(choice.options))], list[str]()
        for option, group in enumerate(choice._groups):
            if option == place:
                more, used = self._named(what, group, values)
            else:
                more = self._any(group)
            genes += more
        return genes, used

    def _any(self, group: Group) -> list[int]:
        """Return random genes of an option that is not chosen."""
        count = group.genes
        if self.varying is not None and any(one is self.varying for one in growing(group)):
            count, self.varying = count - self.varying.genes, None
        return self.rng.integers(0, self.top + 1, count).tolist()

    def _of_list(self, what: str, dimension: ListOf, value: Any) -> list[int]:
        low, high = dimension.minimum, dimension.maximum
        if not isinstance(value, list | tuple) or not low <= len(value) <= high:
            raise ValueError(f"{what} must be a list of {low} to {high} elements, got {shown(value)}")
        varying, self.varying = self.varying, None  # no element has it, nor another place of the same list
        elements = [self.of(f"{what}[{i}]", dimension._element, one) for i, one in enumerate(value)]
        if varying is dimension:
            self.elements = elements
            return []
        self.varying = varying
        length = [self._first(len(value) - low, dimension.lengths)] if dimension.lengths > 1 else []
        spare = self.rng.integers(0, self.top + 1, (high - len(value)) * dimension.genes_each)
        return [*length, *chain(*elements), *spare.tolist()]

    def _first(self, place: int, count: int) -> int:
        """Return the lowest number of a gene that stands for the *place* of *count* options."""
        return -(-place * (self.top + 1) // count)

    def _of_graph(self, what: str, graph: Graph, value: Any) -> None:
        if graph.kind != "gates":
            raise ValueError(f"{what} cannot be given: the weights of a Graph of kind {graph.kind!r} are rounded")
        low, high = graph.minimum, graph.maximum
        if not isinstance(value, list | tuple) or not low <= len(value) <= high:
            raise ValueError(f"{what} must have an entry for each of {low} to {high} nodes, got {shown(value)}")
        reads = list[int]()
        for node, read in enumerate(value, 2):
            before = min(node, len(value) + 1)  # the output, which is last, reads among all
            whole = isinstance(read, list | tuple) and all(is_whole(other) for other in read)
            if not whole or not read or min(read) < 0 or max(read) >= before:
                raise ValueError(f"{what}[{node - 2}] must be numbers of nodes below {before}, got {shown(read)}")
            reads += [int(other in read) for other in range(before)]
        self.reads = reads


def _places(what: str, value: Any, options: Sequence[Any]) -> list[int]:
    """Return the places of *value* among *options*: of those that equal it, the ones of its type if there are any."""
    equal = [place for place, one in enumerate(options) if _equal(one, value)]
    if not equal:
        raise ValueError(f"{what} must be one of {shown(list(options))}, got {shown(value)}")
    return [place for place in equal if type(options[place]) is type(value)] or equal


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        if isinstance(one, bool | np.bool_) != isinstance(other, bool | np.bool_):
            return False
        # Estimators have no comparison of their own: a copy has the same hash.
        return bool(np.all(one == other)) or (type(one) is type(other) and joblib.hash(one) == joblib.hash(other))
    except Exception:  # an object's own comparison, or what cannot be hashed
        return False
