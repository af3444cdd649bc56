"""The frontier of each task as values: its settled genotypes and its elite, with what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genoevo.community import RecordCommunity, TaskPopulations
from genoevo.community.frontier import Archive, Price, rate
from genoevo.decode import stages_of
from genoevo_runs.arrays import Doubles, Ints

RoutePrice = Callable[[Doubles, Ints], Ints]
"""Returns the price of n genotypes, (n,), from their weights (n, G) and stages (n,)."""


@dataclass(frozen=True)
class Member:
    """A genotype of a task that a policy can be made of.

    ``bits`` is its bit string. ``elite`` says whether it is the task's elite, ``settled`` whether it belongs to the
    task's frontier. ``price`` was found when it settled. ``success`` and its standard ``error`` are estimated from
    its training episodes, and ``age`` counts the rounds in which it had one. What is not known is None.
    """

    bits: str
    elite: bool
    settled: bool
    price: float | None = None
    success: float | None = None
    error: float | None = None
    age: int | None = None


def members(community: TaskPopulations, task: int) -> list[Member]:
    """Return the settled genotypes of a task, the cheapest first, and its elite: last unless it is one of them."""
    elite = str(community.population[task * community.size])
    if not isinstance(community, RecordCommunity):
        return [Member(elite, elite=True, settled=False)]
    success, age, archive = rate(community.record), community.record.age, community.archive

    def known(bits: str, place: int, price: float | None) -> Member:
        is_elite = bits == elite
        column = 0 if is_elite else place  # the elite has more episodes than its copy in the archive
        mean, error = float(success.mean[task, column]), float(success.error[task, column])
        return Member(bits, is_elite, place > 0, price, mean, error, int(age[task, column]))

    found = [] if archive is None else _settled(archive, task)
    every = [known(bits, community.size + place, price) for place, bits, price in found]
    return every if any(one.elite for one in every) else [*every, known(elite, 0, None)]


def _settled(archive: Archive, task: int) -> list[tuple[int, str, float | None]]:
    """Return place, bits and price of a task's settled genotypes."""
    places = np.flatnonzero(archive.settled[task]).tolist()
    prices = archive.prices[task]
    return [
        (
            place,
            str(archive.population[task * archive.places + place]),
            None if np.isnan(prices[place]) else float(prices[place]),
        )
        for place in places
    ]


def price_of(community: TaskPopulations, price: RoutePrice) -> Price:
    """Return a function that prices the genotypes of a population by their routes."""
    layout = community.layout
    return lambda population: price(community.weights(population), stages_of(population, layout))
