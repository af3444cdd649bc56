"""The populations of several tasks as one packed population, with the rules that they follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from genoevo._check import check_count, check_whole
from genoevo._html import shortened, table
from genoevo._types import Flags, Floats, Ints
from genoevo.community.codes import rewritten
from genoevo.community.growth_rule import Growth
from genoevo.community.rollback import WEIGHTS, check_fit
from genoevo.community.settings import Decoding, Mating
from genoevo.decode import blocks, decode_population, gene_values, output_shares, stages_of
from genoevo.layout import StagedLayout
from genoevo.operators.reproduction import Reproduction
from genoevo.population import Population
from genoevo.state import (
    State,
    check_state,
    counts,
    generator_from_state,
    generator_state,
    population_from_state,
    population_state,
    rebuild,
    seeded,
    settings_state,
)

RULES = {"reproduction": Reproduction, "mating": Mating, "growth": Growth, "decoding": Decoding}
"""The settings of every community, by name."""


class TaskPopulations:
    """The populations of several tasks, without a rule for their rounds.

    The genotypes of all tasks lie in one packed population, task after task. So a round is a few batch operations,
    however many tasks there are.

    Attributes
    ----------
    population : Population
        All genotypes. Task t has the rows ``t * size`` to ``(t + 1) * size``; after a round the first of them is
        its elite.
    rounds : int
        Number of rounds so far.

    """

    def __init__(
        self,
        layout: StagedLayout,
        tasks: Sequence[str],
        *,
        seed: int,
        size: int = 3,
        stage: int = 3,
        reproduction: Reproduction | None = None,
        mating: Mating | None = None,
        growth: Growth | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        if isinstance(tasks, str) or not tasks or len(set(tasks)) != len(tasks):
            raise ValueError(f"tasks must be at least one name, each once, got {list(tasks)!r:.200}")
        check_count("size", size, 2)
        self.layout, self.tasks, self.size, self.start_stage = layout, list(tasks), size, stage
        self.reproduction = reproduction or Reproduction()
        self.mating = mating or Mating()
        self.growth = growth or Growth()
        self.decoding = decoding or Decoding()
        if self.reproduction.changes_lengths:
            raise ValueError("the genotypes of a task must all have its stage: reproduction must not change lengths")
        if stage > self.growth.max_modules:
            raise ValueError(f"stage must be at most max_modules ({self.growth.max_modules}), got {stage}")
        self.rng = seeded(seed)
        n = len(self.tasks)
        self.population = Population.random(n * size, layout.length(stage), self.rng, weights=WEIGHTS)
        self.rounds = 0
        self._begin()

    def _begin(self) -> None:
        """Make what the rule of the rounds needs; the population is drawn already."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.tasks)} tasks of {self.size} genotypes, {self.rounds} rounds)"

    def _repr_html_(self) -> str:
        elites = [shortened(str(genotype)) for genotype in self.population[:: self.size]]
        rows = {
            task: f"stage {stage}, {bits}" for task, stage, bits in zip(self.tasks, self.stages, elites, strict=True)
        }
        return table(type(self).__name__, {"rounds": self.rounds, "genotypes of each task": self.size, **rows})

    @property
    def stages(self) -> Ints:
        """The stage of each task, (tasks,) int64."""
        return stages_of(self.population[:: self.size], self.layout)

    def of(self, task: int) -> Population:
        """Return a copy of one task's genotypes; IndexError if there is no such task."""
        if not 0 <= task < len(self.tasks):
            raise IndexError(f"there are {len(self.tasks)} tasks, got {task}")
        return self.population[task * self.size : (task + 1) * self.size]

    def weights(self, population: Population | None = None) -> Floats:
        """Decode *population*, or all genotypes: (n, G) float64, see :func:`~genoevo.decode.decode_population`."""
        rule = self.decoding
        return decode_population(
            population or self.population, self.layout, rule.offset, rule.decimal_scale, kind=rule.kind
        )

    def genes(self) -> Ints:
        """Return each genotype's codes, the whole numbers of its genes, (n, G) int64; zero past its own genes."""
        return gene_values(self.population, self.layout.precision)

    def rewrite(self, genes: npt.ArrayLike) -> Flags:
        """Replace the codes of the genotypes, for instance by those that gradient steps have found.

        Parameters
        ----------
        genes
            (n, G) whole numbers from 0 to ``2**precision - 1``, as :meth:`genes` gives them. Numbers past a
            genotype's own genes are ignored.

        Returns
        -------
        (n,) bool: the genotypes that have changed. They lose their fitness; the others keep theirs.

        Raises
        ------
        ValueError
            For another shape, numbers that are not whole, or a number out of range. Nothing is changed then.

        """
        self.population, changed = rewritten(self.population, genes, self.layout.precision)
        return changed

    def effective_modules(self) -> Ints:
        """Count each genotype's modules whose share of the output exceeds the threshold [O], (tasks, size) int64."""
        return self._effective(self.population).reshape(-1, self.size)

    def _effective(self, population: Population) -> Ints:
        effective = np.empty(len(population), dtype=np.int64)
        for rows in blocks(population.lengths, self.layout.precision):
            part = population[rows]
            shares = output_shares(self.weights(part), stages_of(part, self.layout))
            effective[rows] = (shares[:, 1:] > self.mating.usage_threshold).sum(axis=1)
        return effective

    def state_dict(self) -> State:
        """Return the whole state as nested dicts of arrays and JSON values; :func:`genoevo.state.save` writes it."""
        return {
            "kind": "community",
            "precision": self.layout.precision,
            "tasks": self.tasks,
            "size": self.size,
            "start_stage": self.start_stage,
            **{name: settings_state(getattr(self, name)) for name in RULES},
            "population": population_state(self.population),
            "rng": generator_state(self.rng),
            "rounds": self.rounds,
        }

    @classmethod
    def _restored(cls, state: State, parts: Sequence[str] = (), **rules: Any) -> Self:
        """Return a community of the part of a state that all have; the state must have *parts* as well."""
        check_state("a community", state, (*_PARTS, *parts), kind="community")
        check_whole("precision", state["precision"], 1, 16)
        layout, tasks = StagedLayout(state["precision"]), state["tasks"]
        population = population_from_state(state["population"])
        numbers = counts(state, ("size", "start_stage", "rounds"))
        check_fit(population, layout, tasks, numbers["size"])
        check_whole("start_stage", numbers["start_stage"], 1, layout.stage(int(population.lengths.min())))
        rules |= {name: rebuild(rule, state[name]) for name, rule in RULES.items()}
        community = cls(layout, tasks, seed=0, size=numbers["size"], stage=numbers["start_stage"], **rules)
        community.population = population
        community.rng = generator_from_state(state["rng"])
        community.rounds = numbers["rounds"]
        return community


_PARTS = ("precision", "tasks", "size", "start_stage", *RULES, "population", "rng", "rounds")
