"""The rules of decoding, mating and selection in a community."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from genoevo._check import check_at_least, check_between, check_choice, check_count
from genoevo.decode import OFFSET, Kind, check_kind, check_offset
from genoevo.state import LATER

Rule = Literal["round", "record"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The choice of a task's elite, and of the genotypes that stay; every number is our choice [O].

    Parameters
    ----------
    rule
        ``round``: the elite is the best of the round's own episodes, and all other genotypes are replaced by
        children. ``record``: genotypes keep a record of all their episodes, the elite goes only if another's record
        is better by more than its noise, and genotypes that are clearly worse are replaced.
    memory : in [0, 1]
        Share of an episode's weight that is left after each round, under ``record``.
    confidence : >= 0
        Standard errors, under ``record``: its own, by which a challenger must be better than the elite, and those of
        the difference, by which a genotype must be worse than the elite to be replaced.
    resolution : in [0, 1]
        Standard error of a success rate below which two genotypes that cannot be told apart count as equal: then
        the one that uses fewer modules is better.
    min_rounds : >= 1
        Rounds with an episode before which a genotype, under ``record``, neither becomes the elite nor is replaced
        for its record.

    """

    rule: Rule = "round"
    memory: float = 0.95
    confidence: float = 1.0
    resolution: float = 0.05
    min_rounds: int = field(default=1, metadata=LATER)

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __post_init__(self) -> None:
        check_choice("rule", self.rule, get_args(Rule))
        check_between("memory", self.memory, 0, 1)
        check_at_least("confidence", self.confidence, 0)
        check_between("resolution", self.resolution, 0, 1)
        check_count("min_rounds", self.min_rounds, 1)
