"""The rules of decoding and mating in a community."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from genoevo._check import check_at_least, check_between, check_count
from genoevo.decode import OFFSET, Kind, check_kind, check_offset
from genoevo.state import LATER


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """The decoding of bits into weights.

    Parameters
    ----------
    offset : in [0, 1)
        HalfSoftmax's constant c [P]: the weight of a code v is ``exp(v) - c``, divided by the sum.
        With 0 it is the ordinary softmax.
    decimal_scale : >= 0
        Factor on the codes before HalfSoftmax; 0 makes all weights equal [O].
    kind
        ``dense``: HalfSoftmax over all codes of a segment [P]. ``sparse``: a code of 0 is no connection, HalfSoftmax
        takes the others [O]. ``gates``: every code above 0 is a connection of the same weight, as in PathNet [O]. A
        segment without a connection reads its first input, the embedding [O].

    """

    offset: float = OFFSET
    decimal_scale: float = 1.0
    kind: Kind = field(default="dense", metadata=LATER)

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        check_offset(self.offset)
        check_at_least("decimal_scale", self.decimal_scale, 0)
        check_kind(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mating:
    """The choice of mates.

    Parameters
    ----------
    tournament_size : >= 1
        Contenders for each parent [O].
    community_rate : in [0, 1]
        Probability that the second parent comes from another task's population [O].
    usage_cost : in [0, 1]
        Weight of module usage in the score: ``performance * (1 - usage_cost * effective_modules / stage)`` [O]
        ("efficient module usage" [P]). It counts in proportion to performance: a task that does not succeed yet
        would otherwise be selected for leaving its modules out, whatever its return. Genotypes that keep a
        record have no such score: of two that cannot be told apart the one with fewer effective modules is better.
    usage_threshold : in [0, 1]
        Share of the output that a module must exceed to be effective [O].

    """

    tournament_size: int = 2
    community_rate: float = 0.2
    usage_cost: float = 0.01
    usage_threshold: float = 0.05

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        check_count("tournament_size", self.tournament_size, 1)
        check_between("community_rate", self.community_rate, 0, 1)
        check_between("usage_cost", self.usage_cost, 0, 1)
        check_between("usage_threshold", self.usage_threshold, 0, 1)
