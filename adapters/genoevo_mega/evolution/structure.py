"""The protocol of what decides which modules each task uses.

:class:`~genoevo_mega.evolution.evolver.Evolver` evolves genotypes;
:class:`~genoevo_mega.evolution.static.StaticStructure` serves the architectures whose structure is fixed.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from genoevo.community.candidates import Judge
from genoevo.state import State
from genoevo_mega.envs.episodes import FinishedEpisodes
from genoevo_mega.evolution.frontiers import Member
from genoevo_mega.evolution.outcome import RoundResult
from genoevo_mega.evolution.surrogate import MakeJudge
from genoevo_mega.networks import Routing
from genoevo_runs.arrays import Arrays, Flags, Ints


class Structure(Protocol):
    """Counts finished episodes, ends rounds, and gives the routing for each purpose."""

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks."""

    @property
    def rounds(self) -> int:
        """The number of rounds so far."""

    @property
    def stages(self) -> Ints:
        """The stage of each task, (tasks,) int64; 0 for a fixed structure."""

    @property
    def modules(self) -> tuple[int, int]:
        """The least and the largest size that the pool of modules can have."""

    @property
    def due(self) -> bool:
        """Whether a round can end: every genotype of every task has driven its episodes."""

    def members(self, task: int) -> list[Member]:
        """Return the genotypes of a task that policies can be made of: its frontier's and its elite."""

    def effective_modules(self) -> Ints:
        """Return the effective modules of each task's elite, (tasks,) int64."""

    def genotype_ids(self) -> Ints:
        """Return the number of the genotype that acts for each task, (tasks,) int64; stored with transitions."""

    def start_episodes(self, tasks: Ints) -> Flags:
        """Note that new episodes of *tasks* (n,) start; return which meet their last goal again, (n,) bool."""

    def record_episodes(self, finished: FinishedEpisodes) -> None:
        """Credit finished episodes to the genotypes that acted in them."""

    def end_round(self, under_way: Flags | None = None, judge: Judge | None = None) -> RoundResult:
        """End a round of every task; *under_way* (tasks,) marks the tasks in the middle of an episode.

        *judge* scores candidates without episodes.
        """

    @property
    def drops_modules(self) -> bool:
        """Whether the pool gives modules back that no task has any more."""

    @property
    def surrogate(self) -> MakeJudge | None:
        """What makes the judge that :meth:`end_round` reads; None if it reads none."""

    def acting_routing(self) -> Routing:
        """Return the routing of the genotypes that act in the present episodes."""

    def elite_routing(self) -> Routing:
        """Return the routing of each task's elite."""

    def update_routing(self, stored: torch.Tensor, rng: np.random.Generator) -> Routing:
        """Return the routing for a gradient step; *stored* (tasks, batch) are the genotype numbers of transitions."""

    def critic_routing(self, actor_routing: Routing) -> Routing:
        """Return the critics' routing for an update whose actor has *actor_routing*."""

    def step_relaxed_codes(self) -> None:
        """Make a gradient step of the relaxed codes that the last update used, if codes are trained."""

    def state_dict(self) -> State:
        """Return everything but the pending episodes."""

    def state_arrays(self) -> Arrays:
        """Return the pending episodes, and what else is not in :meth:`state_dict`, by name."""

    def load_arrays(self, arrays: dict[str, Any]) -> None:
        """Restore :meth:`state_arrays`; ValueError if they do not fit."""

    def check_stored(self, genotypes: npt.NDArray[np.integer[Any]]) -> None:
        """Raise ValueError if transitions name *genotypes* (n,) whose weights are not known."""
