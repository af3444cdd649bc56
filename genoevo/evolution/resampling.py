"""Resampling: survivors are evaluated again, because fitness is noisy or changes with time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from genoevo._check import check_at_least, check_between, check_count, check_whole
from genoevo._types import Floats, Ints
from genoevo.evolution.record import Record
from genoevo.population import Population
from genoevo.state import State, check_array, check_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """The rule by which genotypes that survive are evaluated again, together with each generation's children.

    The fitness of a genotype is the running mean of its evaluations, by which parents and survivors are chosen. The
    genotypes are those that survive if no child is better: the whole population under ``plus``, the best that stay
    under ``generational`` and ``steady``. A later evaluation that fails does not count. A constraint is kept if the
    mean of its violation is 0 or less. A lineage has the first fitness of each genotype.

    Parameters
    ----------
    evaluations
        The most evaluations of one genotype; 1 for no resampling.
    every
        Generations from one resampling to the next.
    memory
        Evaluations after which an old one has lost most of its weight, for a fitness that changes with time: the mean
        moves by 1 / memory of the difference to a new evaluation, at least. None for the plain mean, for noise alone.

    """

    evaluations: int = 1
    every: int = 1
    memory: float | None = None

    def __post_init__(self) -> None:
        check_count("evaluations", self.evaluations, 1)
        check_count("every", self.every, 1)
        if self.memory is not None:
            check_at_least("memory", self.memory, 1)

    @property
    def is_on(self) -> bool:
        """Whether anything is evaluated again."""
        return self.evaluations > 1

    def is_due(self, generation: int) -> bool:
        """Return whether survivors of *generation* are evaluated again with the next."""
        return self.is_on and generation % self.every == 0


def check_record(record: Record, resampling: Resampling) -> None:
    """Raise ValueError if *record* keeps the fitness of single evaluations although there are several."""
    kept = [name for name in ("hall_of_fame", "pareto_front", "cache") if getattr(record, name)]
    if resampling.is_on and kept:
        raise ValueError(f"with resampling a record cannot keep the first fitness of a genotype, got {kept[0]}")


@dataclass(slots=True)
class Estimates:
    """What is known of each row's fitness besides its mean: the number of evaluations, and their variance.

    ``counts`` is (n,) int64, ``variances`` (n, objectives) float64: the mean square distance to the running mean,
    with the weights of that mean. ``repeats`` counts the evaluations of all genotypes after their first.
    """

    counts: Ints
    variances: Floats
    repeats: int = 0

    @classmethod
    def first(cls, population: Population, repeats: int = 0) -> Estimates:
        """Return the estimates of genotypes that were evaluated once."""
        return cls(np.ones(len(population), np.int64), np.zeros((len(population), len(population.weights))), repeats)

    def take(self, rows: Ints) -> None:
        """Reduce to *rows*, in their order."""
        self.counts, self.variances = self.counts[rows], self.variances[rows]

    def append(self, children: Population) -> None:
        """Add genotypes that were evaluated once."""
        fresh = Estimates.first(children)
        self.counts = np.concatenate([self.counts, fresh.counts])
        self.variances = np.concatenate([self.variances, fresh.variances])

    def add(self, population: Population, rows: Ints, values: Floats, memory: float | None) -> None:
        """Add one evaluation of each of *rows*, (rows, objectives) *values*, to the means that *population* holds."""
        self.repeats += len(rows)
        worked = np.flatnonzero(np.isfinite(values).all(axis=1))
        rows, values = rows[worked], values[worked]
        means = np.array(population.fitness.reshape(len(population), -1))
        failed = np.asarray(np.isinf(means[rows]).any(axis=1))  # of which this is the first evaluation that counts
        self.counts[rows] = np.where(failed, 1, self.counts[rows] + 1)
        share = np.maximum(1 / self.counts[rows], 0 if memory is None else 1 / memory)
        share[failed] = 1
        before = np.where(failed[:, None], values, means[rows])
        away = values - before
        self.variances[rows] = (1 - share[:, None]) * (self.variances[rows] + share[:, None] * away**2)
        means[rows] = before + share[:, None] * away
        population.fitness = means if len(population.weights) > 1 else means[:, 0]

    def interval(self, population: Population, confidence: float, memory: float | None) -> tuple[Floats, Floats]:
        """Return the ends of an interval of the expected fitness, both of the fitness's shape.

        Student's t; infinite for a genotype that was evaluated once.
        """
        check_between("confidence", confidence, 0, 0.9999)
        effective = np.minimum(self.counts, np.inf if memory is None else 2 * memory - 1)
        half = np.full(self.variances.shape, np.inf)
        for count in np.unique(effective[effective > 1]):
            rows = effective == count
            half[rows] = _student((1 + confidence) / 2, count - 1) * np.sqrt(self.variances[rows] / (count - 1))
        half = half.reshape(population.fitness.shape)
        return population.fitness - half, population.fitness + half

    def as_state(self) -> State:
        """Return the counts, variances and repeats."""
        return {"counts": self.counts, "variances": self.variances, "repeats": self.repeats}

    @classmethod
    def from_state(cls, state: State, population: Population) -> Estimates:
        """Return what :meth:`as_state` gave, for the same *population*; ValueError says what does not fit."""
        check_state("estimates", state, ("counts", "variances", "repeats"))
        shape = len(population), len(population.weights)
        counts = check_array("the counts of estimates", state["counts"], np.int64, shape[:1])
        variances = check_array("the variances of estimates", state["variances"], np.float64, shape)
        check_whole("the repeats of estimates", state["repeats"], 0)
        if counts.min() < 1 or not (variances >= 0).all():
            raise ValueError("the counts of estimates must be at least 1, and their variances at least 0")
        return cls(counts, variances, state["repeats"])


def _student(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t; the engine does without scipy.

    Exact for 1 and 2 degrees of freedom, else the expansion of Fisher and Cornish 1960, off by 0.2 % at most up to a
    confidence of 95 %.
    """
    if freedom < 2:
        return math.tan(math.pi * (probability - 0.5))
    if freedom < 3:
        return (2 * probability - 1) * math.sqrt(2 / (4 * probability * (1 - probability)))
    z = NormalDist().inv_cdf(probability)
    terms = [
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    ]
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))
