"""One round of a community: its result, and the generation that it breeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genoevo._numbers import as_floats
from genoevo._types import Floats, Ints, Origins
from genoevo.community.settings import Mating
from genoevo.layout import StagedLayout
from genoevo.operators.reproduction import Origin, Reproduction
from genoevo.operators.selection import tournament_within
from genoevo.population import Population


@dataclass(frozen=True, slots=True)
class Round:
    """The result of one round. Arrays are (tasks, size); indices count within a task's population.

    ``elites`` (tasks,) int64: the survivor of each task. ``grown``, ``shrunk``, ``restored``: task indices.
    ``parents`` (tasks, size - 1, 2) int64: the rows of the evaluated ``Community.population`` that each new
    genotype comes from, -1 for none. ``origins`` (tasks, size - 1) int8: codes of
    :class:`~genoevo.operators.reproduction.Origin`.
    """

    scores: Floats
    effective_modules: Ints
    elites: Ints
    grown: list[int]
    shrunk: list[int]
    parents: Ints
    origins: Origins
    restored: list[int]


def check_result(name: str, values: npt.ArrayLike, tasks: list[str], size: int) -> Floats:
    """Return *values* as (tasks, size) float64; ValueError for another shape or a number that is not finite."""
    array = as_floats(name, values)
    expected = (len(tasks), size)
    if array.shape != expected:
        raise ValueError(f"{name} must have shape {expected}, got {array.shape}")
    if not np.isfinite(array).all():
        task, row = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"{name} of genotype {row} of {tasks[task]} is {array[task, row]}, must be finite")
    return array


def elite_first(elites: Ints, size: int) -> Ints:
    """Return (tasks, size) rows of the population: each task's elite first, the others in their order."""
    order: Ints = (np.arange(size) != elites[:, None]).argsort(axis=1, kind="stable")
    return order + np.arange(len(elites))[:, None] * size


def unchanged(elites: Ints, size: int) -> tuple[Ints, Origins]:
    """Return the parents and origins of genotypes that stay: each is an unchanged mutant of itself."""
    own = elite_first(elites, size)[:, 1:]
    origins = np.full(own.shape, Origin.MUTATION, dtype=np.int8)
    return np.stack([own, np.full_like(own, -1)], axis=2), origins


def mates(merit: Floats, children: int, mating: Mating, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw the parents of *children* of every task, task after task: two rows each, (tasks * children,).

    *merit* (tasks, n) is higher for better genotypes. The first parent is of the task itself, the second may be of
    another one.
    """
    tasks, n = merit.shape
    task, flat, size = np.repeat(np.arange(tasks), children), merit.ravel(), mating.tournament_size
    first = tournament_within(flat, task * n, n, rng, size=size)
    abroad = (rng.random(len(task)) < mating.community_rate) & (tasks > 1)
    # A uniform draw among the other tasks. If there is no other, `abroad` is false everywhere.
    other = (task + rng.integers(1, max(tasks, 2), len(task))) % tasks
    donor = np.where(abroad, other, task)
    return first, tournament_within(flat, donor * n, n, rng, size=size)


def next_generation(
    population: Population,
    merit: Floats,
    elites: Ints,
    mating: Mating,
    reproduction: Reproduction,
    layout: StagedLayout,
    rng: np.random.Generator,
) -> tuple[Population, Ints, Origins]:
    """Return each task's elite and new children, and the children's parents and origins as in :class:`Round`."""
    tasks = len(elites)
    size = len(population) // tasks
    children = size - 1
    first, second = mates(merit.reshape(tasks, size), children, mating, rng)
    bred, origins = reproduction.children(population[first], population[second], rng, layout)
    survivors = population[np.arange(tasks) * size + elites]
    order = np.empty((tasks, size), dtype=np.int64)
    order[:, 0] = np.arange(tasks)
    order[:, 1:] = tasks + np.arange(tasks * children).reshape(tasks, children)
    rows = np.stack([first, second], axis=1)
    rows[origins != Origin.CROSSOVER, 1] = -1
    rows[origins == Origin.FRESH, 0] = -1
    parents = rows.reshape(tasks, children, 2)
    return Population.concatenate([survivors, bred])[order.ravel()], parents, origins.reshape(tasks, children)
