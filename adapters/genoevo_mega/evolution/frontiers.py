"""The frontier of each task as values: its settled genotypes and its elite, with what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genoevo.community import RecordCommunity, TaskPopulations
from genoevo.community.frontier import Archive, Price
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
    """Return the settled genotypes of a task, the cheapest first, and its elite: last unless its route is settled."""
    elite = community.population[task * community.size : task * community.size + 1]
    if not isinstance(community, RecordCommunity):
        return [Member(str(elite[0]), elite=True, settled=False)]
    success, age = community.record.success, community.record.age

    def known(bits: str, place: int, price: float | None, *, is_elite: bool) -> Member:
        column = 0 if is_elite else place  # the elite has more episodes than its copy in the archive
        mean, error = float(success.mean[task, column]), float(success.error[task, column])
        return Member(bits, is_elite, place > 0, price, mean, error, int(age[task, column]))

    found = [] if community.archive is None else _settled(community, community.archive, task)
    [route] = community.routes(elite)
    every = [known(bits, place, price, is_elite=key == route) for place, bits, key, price in found]
    alone = [] if any(one.elite for one in every) else [known(str(elite[0]), 0, None, is_elite=True)]
    return every + alone


def _settled(community: RecordCommunity, archive: Archive, task: int) -> list[tuple[int, str, bytes, float | None]]:
    """Return the record's place, the bits, the key of the route and the price of a task's settled genotypes."""
    places = np.flatnonzero(archive.settled[task])
    if not len(places):
        return []
    genotypes = archive.population[task * archive.places + places]
    prices = [None if np.isnan(price) else float(price) for price in archive.prices[task, places]]
    bits = [str(genotypes[i]) for i in range(len(places))]
    return list(zip((community.size + places).tolist(), bits, community.routes(genotypes), prices, strict=True))


def price_of(community: TaskPopulations, price: RoutePrice) -> Price:
    """Return a function that prices the genotypes of a population by their routes."""
    layout = community.layout
    return lambda population: price(community.weights(population), stages_of(population, layout))
