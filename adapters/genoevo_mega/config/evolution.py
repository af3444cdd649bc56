"""Settings of the task populations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from genoevo.community import Candidates, Decoding, Frontier, Growth, Mating, Selection
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
    start: Literal["random", "sparse", "disjoint"] = "random"
    """First genotypes, under ``selection.rule = record``: uniform ``random`` bits, ``sparse`` ones
    whose routes begin on different modules from task to task, or hand-written ``disjoint`` routes,
    for control runs [O]."""
    episodes: Count = 1
    """Training episodes that each genotype drives in a round [O]."""
    shared_goals: bool = False
    """Whether the genotypes of a task meet the same goals: a new one is drawn when each of them has
    had an episode with the last one [O]."""
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
    critic_routing: Literal["genotype", "elite", "uniform"] = "genotype"
    """Routing of critics of kind ``genotype``: that of the genotype which the update trains, that of
    the task's ``elite``, or ``uniform`` weights over all modules of the task [O]."""
    surrogate_states: Count = 48
    """Recent replay states of each task on which a critic judges candidates, if
    ``candidates.surrogate`` is above 0 [O]."""
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
    selection: Selection
    candidates: Candidates
    frontier: Frontier
