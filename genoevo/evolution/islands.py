"""Islands: populations that evolve side by side as one batch and exchange their best at times (Tanese 1989)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from genoevo._check import check_choice, check_count
from genoevo._types import Floats, Ints

Topology = Literal["ring", "complete", "random"]
Replace = Literal["worst", "random"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Islands:
    """The number of islands and the way they exchange genotypes.

    Parameters
    ----------
    count
        Islands of equal size.
    interval
        Generations from one migration to the next.
    migrants
        Genotypes that travel along each connection: copies of the best of their island. 0 makes the islands
        independent runs in one batch.
    topology
        The source of an island's migrants: the island before it (``ring``), every other island (``complete``), or
        one other, drawn again for each island and migration (``random``).
    replace
        The genotypes that migrants replace: the ``worst``, or ``random`` ones, but never the best of an island.

    """

    count: int = 1
    interval: int = 10
    migrants: int = 1
    topology: Topology = "ring"
    replace: Replace = "worst"

    def __post_init__(self) -> None:
        check_count("count", self.count, 1)
        check_count("interval", self.interval, 1)
        check_count("migrants", self.migrants, 0)
        check_choice("topology", self.topology, get_args(Topology))
        check_choice("replace", self.replace, get_args(Replace))

    @property
    def arrivals(self) -> int:
        """The number of migrants that reach each island at a migration."""
        if self.count == 1:
            return 0
        return self.migrants * (self.count - 1 if self.topology == "complete" else 1)

    def size(self, genotypes: int) -> int:
        """Return the size of each island; ValueError if *genotypes* cannot be divided or leave migrants no room."""
        size, rest = divmod(genotypes, self.count)
        if rest or not size:
            raise ValueError(f"{genotypes} genotypes cannot be divided equally among {self.count} islands")
        if self.arrivals >= size:
            raise ValueError(f"{self.arrivals} migrants reach an island of {size}; there must be fewer")
        return size

    def is_due(self, generation: int) -> bool:
        """Return whether there is a migration after *generation*."""
        return self.arrivals > 0 and generation % self.interval == 0

    def migrated(self, merit: Floats, rng: np.random.Generator) -> Ints:
        """Return the row that each row's genotype after a migration comes from, (n,) int64.

        *merit* is (n,) float64, higher is better, island after island.
        """
        rows = np.arange(len(merit)).reshape(self.count, -1)
        order = np.take_along_axis(rows, np.argsort(-merit.reshape(rows.shape), axis=1, kind="stable"), axis=1)
        arriving = order[self._sources(rng), : self.migrants].reshape(self.count, -1)
        places = order[:, 1:] if self.replace == "worst" else rng.permuted(order[:, 1:], axis=1)
        after = rows.reshape(-1).copy()
        after[places[:, -self.arrivals :]] = arriving
        return after

    def _sources(self, rng: np.random.Generator) -> Ints:
        if self.topology == "ring":
            steps = np.full((self.count, 1), self.count - 1)
        elif self.topology == "complete":
            steps = np.tile(np.arange(1, self.count), (self.count, 1))
        else:
            steps = rng.integers(1, self.count, (self.count, 1))
        return np.asarray((np.arange(self.count)[:, None] + steps) % self.count)
