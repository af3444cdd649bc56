"""Structures: options with parameters of their own, lists of variable length, and graphs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from genoevo import StagedLayout, decode
from genoevo._check import check_whole, shown
from genoevo.decode import Kind, check_kind
from genoevo_sklearn.space.codes import Codes
from genoevo_sklearn.space.values import Categorical, Decoded, Dimension, check_options

_HAS = ("genes", "levels", "decoded")


def dimension_of(name: str, value: Any) -> Dimension:
    """Return *value* if it is a dimension, or the categories of a list; ValueError names anything else."""
    if isinstance(value, list):
        return Categorical(value)
    if isinstance(value, Mapping):
        return Group(value)
    if all(hasattr(value, part) for part in _HAS) and not isinstance(value, type):
        dimension: Dimension = value
        return dimension
    raise ValueError(
        f"{name} must be an Integer, Float, Categorical, Choice, ListOf, Graph or list, got {shown(value)}"
    )


class Group:
    """Named parameters, each from a dimension of its own; its value is a dict."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        if not isinstance(parameters, Mapping) or not all(isinstance(name, str) for name in parameters):
            raise ValueError(f"a space must be a dict of dimensions by name, got {shown(parameters)}")
        self.parameters = {name: dimension_of(f"parameter {name!r}", value) for name, value in parameters.items()}
        self.names = _names(self.parameters)
        self.genes = sum(dimension.genes for dimension in self.parameters.values())
        self.levels = max((dimension.levels for dimension in self.parameters.values()), default=2)

    def decoded(self, codes: Codes) -> Decoded:
        """Return the value of every parameter, in order."""
        values: dict[str, Any] = {}
        keys: list[Hashable] = []
        for name, dimension in self.parameters.items():
            value, key, also = dimension.decoded(codes)
            values |= {name: value, **also}
            keys.append(key)
        return Decoded(values, tuple(keys))

    def __repr__(self) -> str:
        return repr(self.parameters)


def _names(parameters: Mapping[str, Any]) -> set[str]:
    """Return the names that *parameters* set, also by options of choices; ValueError if one is set twice."""
    found: set[str] = set()
    for name, dimension in parameters.items():
        options = dimension._groups if isinstance(dimension, Choice) else ()
        further = set().union(*(group.names for group in options))
        twice = (further & {name}) | ((further | {name}) & found)
        if twice:
            raise ValueError(f"a space must set each parameter once, got {min(twice)!r} again in {name!r}")
        found |= further | {name}
    return found


@dataclass(frozen=True)
class Option:
    """An option of a :class:`Choice`: its value, and the parameters that only it has."""

    value: Any
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """One of several *options*, each with parameters that are set only with it.

    An option is an :class:`Option`, or a plain value without parameters. The genes of the other options keep their
    values until their option is chosen again, and make no difference until then.
    """

    options: Sequence[Any]
    _groups: tuple[Group, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_options(self.options)
        groups = tuple(Group(option.parameters if isinstance(option, Option) else {}) for option in self.options)
        object.__setattr__(self, "_groups", groups)

    @property
    def values(self) -> list[Any]:
        """The value of each option."""
        return [option.value if isinstance(option, Option) else option for option in self.options]

    @property
    def genes(self) -> int:
        """A gene for the choice, and those of all options."""
        return 1 + sum(group.genes for group in self._groups)

    @property
    def levels(self) -> int:
        """The number of options, or what their parameters need."""
        return max(len(self.options), *(group.levels for group in self._groups))

    def decoded(self, codes: Codes) -> Decoded:
        """Return the chosen option and its parameters."""
        place = codes.place(len(self.options))
        found = [group.decoded(codes) for group in self._groups][place]
        return Decoded(self.values[place], (place, found.key), found.value)


@dataclass(frozen=True)
class ListOf:
    """A tuple of *minimum* to *maximum* elements, such as layers.

    One list of a space is as long as the genotype tells, see :class:`Space`. Every other list has a gene for its
    length, and genes for as many elements as it may have: those past its length keep their values until it is longer,
    and make no difference until then.

    Parameters
    ----------
    element
        The dimension of an element, or a dict of dimensions, which makes each element a dict. A :class:`Choice`
        whose options have parameters must be in a dict, where these have their places.
    minimum, maximum
        Fewest and most elements; a list of at least 0 may be empty.

    Raises
    ------
    ValueError
        For an element that is not a dimension, has a graph in it, or is a choice with parameters.

    """

    element: Any
    minimum: int
    maximum: int
    _element: Dimension = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_whole("maximum", self.maximum, 1)
        check_whole("minimum", self.minimum, 0, self.maximum)
        element = dimension_of("an element", self.element)
        if any(isinstance(one, Graph) for one in growing(element)):
            raise ValueError(f"an element must not contain a graph, got {shown(self.element)}")
        if isinstance(element, Choice) and any(group.parameters for group in element._groups):
            raise ValueError(
                "an element whose options have parameters must be a dict, such as "
                f'ListOf({{"kind": Choice(...)}}, ...), got {shown(self.element)}'
            )
        object.__setattr__(self, "_element", element)

    @property
    def genes_each(self) -> int:
        """The genes of an element."""
        return self._element.genes

    @property
    def lengths(self) -> int:
        """The number of lengths that it may have."""
        return self.maximum - self.minimum + 1

    @property
    def genes(self) -> int:
        """One for its length, if that varies, and those of all elements, unless its length is the genotype's."""
        return (self.lengths > 1) + self.maximum * self.genes_each

    @property
    def levels(self) -> int:
        """What an element needs."""
        return self._element.levels

    def decoded(self, codes: Codes) -> Decoded:
        """Return the elements."""
        if codes.takes_elements(self):
            found = [self._element.decoded(codes.of_element(genes)) for genes in codes.elements]
        else:
            more = codes.place(self.lengths) if self.lengths > 1 else 0
            genes = [[codes.next() for _ in range(self.genes_each)] for _ in range(self.maximum)]
            found = [self._element.decoded(codes.of_element(one)) for one in genes[: self.minimum + more]]
        return Decoded(tuple(one.value for one in found), tuple(one.key for one in found))


@dataclass(frozen=True)
class Graph:
    """A directed graph of *minimum* to *maximum* nodes without cycles, encoded on a staged layout.

    Node 0 is the input, and node 1 reads it. Node k reads nodes among 0 to k - 1, and the output reads among all.
    The value is a tuple with an entry for each of the nodes 2, 3, ... and then the output.

    Parameters
    ----------
    minimum, maximum
        Fewest and most nodes besides the input, at least 1.
    kind
        ``gates``: an entry is the numbers of the nodes that are read, at least one. ``dense`` and ``sparse``: an
        entry is the weight of each node that could be read, by HalfSoftmax (:func:`genoevo.decode`).
    precision
        Bits of a weight, 1 to 16; for ``gates`` 1 bit makes each connection as likely as not.

    """

    minimum: int
    maximum: int
    kind: Kind = "gates"
    precision: int = 1

    genes = 0
    levels = 2

    def __post_init__(self) -> None:
        check_whole("maximum", self.maximum, 1)
        check_whole("minimum", self.minimum, 1, self.maximum)
        check_kind(self.kind)
        check_whole("precision", self.precision, 1, 16)

    @property
    def layout(self) -> StagedLayout:
        """The layout: a genotype of stage N is a graph of N nodes."""
        return StagedLayout(self.precision)

    def decoded(self, codes: Codes) -> Decoded:
        """Return the connections."""
        assert codes.graph is not None
        weights = [tuple(one.tolist()) for one in decode(codes.graph, self.layout, kind=self.kind)]
        if self.kind == "gates":
            weights = [tuple(node for node, weight in enumerate(one) if weight) for one in weights]
        return Decoded(tuple(weights), tuple(weights))


def growing(dimension: Any, *, within: bool = False) -> list[ListOf | Graph]:
    """Return the lists and graphs in *dimension*, in the order of decoding; *within* elements of lists, too."""
    if isinstance(dimension, ListOf):
        return [dimension, *(growing(dimension._element, within=True) if within else [])]
    if isinstance(dimension, Graph):
        return [dimension]
    if isinstance(dimension, Group):
        return [one for inner in dimension.parameters.values() for one in growing(inner, within=within)]
    if isinstance(dimension, Choice):
        return [one for group in dimension._groups for one in growing(group, within=within)]
    return []
