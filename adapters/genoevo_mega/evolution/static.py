"""The structure of architectures that do not evolve: rounds are counted, and no network reads the routing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from genoevo.community.candidates import Judge
from genoevo.state import State, check_state
from genoevo_mega.config.evolution import Genotypes
from genoevo_mega.envs.episodes import FinishedEpisodes
from genoevo_mega.evolution.frontiers import Member
from genoevo_mega.evolution.outcome import EpisodeStatistics, RoundResult
from genoevo_mega.networks import Routing
from genoevo_runs.arrays import Arrays, Flags, Ints
from genoevo_runs.errors import abbreviated


class StaticStructure:
    """Counts the episodes of a run and ends a round as often as MEGA would; every stage is 0."""

    modules = (0, 0)

    def __init__(self, genotypes: Genotypes, tasks: list[str]) -> None:
        self.tasks, self.rounds = tasks, 0
        self._episodes_due = genotypes.episodes * genotypes.population_size
        self.statistics = EpisodeStatistics(len(tasks), 1)
        n = len(tasks)
        self._routing = Routing(torch.zeros(n, 1, 1, 1), torch.zeros(n, 1, 1), (0,) * n)

    @classmethod
    def from_state(cls, genotypes: Genotypes, tasks: list[str] | None, state: State) -> StaticStructure:
        """Return the structure that :meth:`state_dict` describes; *tasks* None accepts any.

        Raises ValueError if the state is corrupt or belongs to another run.
        """
        check_state("a run without evolution", state, ("tasks", "rounds"), "steady")
        if not isinstance(state["tasks"], list) or not all(isinstance(task, str) for task in state["tasks"]):
            raise ValueError("tasks must be a list of names")
        if tasks is not None and state["tasks"] != tasks:
            raise ValueError(f"tasks = {abbreviated(state['tasks'])}: config.yaml has {tasks!r}")
        if type(state["rounds"]) is not int or state["rounds"] < 0:
            raise ValueError(f"rounds = {abbreviated(state['rounds'])}: must be a whole number, at least 0")
        structure = cls(genotypes, state["tasks"])
        structure.rounds = state["rounds"]
        return structure

    def check_stored(self, genotypes: npt.NDArray[np.integer[Any]]) -> None:
        """Accept anything: transitions name no genotypes."""

    def state_dict(self) -> State:
        """Return everything but the pending episodes."""
        return {"kind": "steady", "tasks": self.tasks, "rounds": self.rounds}

    @property
    def stages(self) -> Ints:
        """Zeros, (tasks,) int64."""
        return np.zeros(len(self.tasks), np.int64)

    def members(self, task: int) -> list[Member]:
        """Return nothing: there are no genotypes."""
        return []

    def effective_modules(self) -> Ints:
        """Return zeros, (tasks,) int64."""
        return self.stages

    def record_episodes(self, finished: FinishedEpisodes) -> None:
        """Count finished episodes."""
        self.statistics.add(finished, 0)

    def start_episodes(self, tasks: Ints) -> Flags:
        """Return that no task meets a goal again; every episode counts in the round in which it ends."""
        return np.zeros(len(tasks), np.bool_)

    @property
    def due(self) -> bool:
        """Whether every task has had as many episodes as all genotypes of a MEGA population would take."""
        return bool(self.statistics.episodes.min() >= self._episodes_due)

    drops_modules = False
    surrogate = None  # there are no candidates

    def end_round(self, under_way: Flags | None = None, judge: Judge | None = None) -> RoundResult:
        """End a round; the score is the success rate. Episodes under way count in the next round."""
        episodes = self.statistics.episodes[:, 0].copy()
        performance, mean_return = self.statistics.take()
        self.rounds += 1
        success = performance[:, 0]
        return RoundResult(success, mean_return[:, 0], success, self.stages, [], [], [], episodes)

    def genotype_ids(self) -> Ints:
        """Return zeros, (tasks,) int64."""
        return self.stages

    def acting_routing(self) -> Routing:
        """Return the routing, the same for every purpose."""
        return self._routing

    elite_routing = acting_routing

    def update_routing(self, stored: torch.Tensor, rng: np.random.Generator) -> Routing:
        """Return the routing, the same for every purpose; nothing is drawn."""
        return self._routing

    def critic_routing(self, actor_routing: Routing) -> Routing:
        """Return the routing, the same for every purpose."""
        return actor_routing

    def step_relaxed_codes(self) -> None:
        """Do nothing: no codes are trained."""

    def state_arrays(self) -> Arrays:
        """Return the pending episodes by name."""
        return self.statistics.state_arrays()

    def load_arrays(self, arrays: Arrays) -> None:
        """Restore :meth:`state_arrays`; ValueError if they do not fit."""
        self.statistics.load_arrays(arrays)
