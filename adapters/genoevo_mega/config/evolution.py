"""Settings of the task populations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from genoevo.community import Decoding, Growth, Mating
from genoevo.operators import Reproduction
from genoevo_runs.settings import Count, Fraction, Settings


class Genotypes(Settings):
    """The task populations."""

    precision: Annotated[int, Field(ge=1, le=16)] = 2
    """Bits per weight: 2 (MT10), 4 (MT50) [P]."""
    population_size: Annotated[int, Field(ge=2)] = 3
    """Genotypes per task: 3 (MT10), 4 (MT50) [P]."""
    start_stage: Count = 3
    """Modules of every task at the start [P]."""
    episodes: Count = 1
    """Training episodes that each genotype drives before a round [O]."""
    evolve: bool = True
    """Whether rounds breed; without, the random genotypes of the start stay, and stages change all the same."""
    module_budget: Count | None = None
    """Modules that one step of all tasks may compute, the sum of their stages: no task grows past it [O]."""
    rollback: Fraction | None = None
    """A task whose success falls by more than this against the generation that the present one replaced gets that
    one back, and its stage; null for never [O]."""
    update_with: Literal["sample", "elite", "stored"] = "sample"
    """Whose weights a gradient step uses for a task: one genotype drawn from its population, its elite, or the
    one that produced the transition [O]."""
    hybrid_rate: Annotated[float, Field(gt=0)] | None = None
    """Learning rate, in units of a code, of gradient steps on the decoded weights beside evolution, for the genotypes
    that gradient steps use; null for none (:mod:`genoevo_mega.evolution.relaxed_codes`) [O]."""


@dataclass(frozen=True)
class EvolutionSettings:
    """The task populations, with the rules of the engine that they follow."""

    genotypes: Genotypes
    decoding: Decoding
    reproduction: Reproduction
    mating: Mating
    growth: Growth
