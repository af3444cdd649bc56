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
    """Bits per weight: 2 for MT10, 4 for MT50 [P]."""
    population_size: Annotated[int, Field(ge=2)] = 3
    """Genotypes per task: 3 for MT10, 4 for MT50 [P]."""
    start_stage: Annotated[Count, Field(json_schema_extra={"allowed": "1 to growth.max_modules"})] = 3
    """Modules of every task at the start [P]."""
    episodes: Count = 1
    """Training episodes that each genotype drives in a round [O]."""
    evolve: bool = True
    """Whether rounds breed new genotypes. Otherwise the random genotypes of the start stay; tasks
    grow all the same [O]."""
    module_budget: Count | None = None
    """Modules that one step of all tasks may compute, the sum of the tasks' stages. No task grows
    beyond it; null for no budget [O]."""
    rollback: Fraction | None = None
    """Fall of a task's success, compared with the generation that the present one replaced, that
    brings back the earlier generation and its stage; null for never [O]."""
    update_with: Literal["sample", "elite", "stored"] = "sample"
    """Genotype of each task in a gradient step: ``sample`` (drawn from the task's population),
    ``elite``, or ``stored`` (the one that produced the transition) [O]."""
    hybrid_rate: Annotated[float, Field(gt=0)] | None = None
    """Learning rate, in units of a code, of gradient steps on the decoded weights of the genotypes
    that gradient steps use (``genoevo_mega.evolution.relaxed_codes``); null for none [O]."""


@dataclass(frozen=True)
class EvolutionSettings:
    """The task populations, with the rules of the engine that they follow."""

    genotypes: Genotypes
    decoding: Decoding
    reproduction: Reproduction
    mating: Mating
    growth: Growth
