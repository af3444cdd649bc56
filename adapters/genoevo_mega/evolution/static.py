"""In the place of the Evolver where nothing evolves: the same rounds, and a routing that no network reads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from genoevo.state import State, check_state
from genoevo_mega.config.run import Config
from genoevo_mega.envs.episodes import Ended
from genoevo_mega.evolution.outcome import Outcome, Tally
from genoevo_mega.networks import Routing
from genoevo_runs.arrays import Flags, Ints
from genoevo_runs.errors import abbreviated


class Steady:
    """Counts what a run's episodes show and calls it a round as often as MEGA would; every stage is 0."""

    def __init__(self, config: Config, tasks: list[str]) -> None:
        self.tasks, self.rounds = tasks, 0
        self._episodes_due = config.genotypes.episodes * config.genotypes.population_size
        self.tally = Tally(len(tasks), 1)
        n = len(tasks)
        self._routing = Routing(torch.zeros(n, 1, 1, 1), torch.zeros(n, 1, 1), (0,) * n)

    @classmethod
    def from_state(cls, config: Config, tasks: list[str] | None, state: State) -> Steady:
        """Continue where :meth:`state_dict` was taken; ValueError where it is damaged or that of another run."""
        check_state("a run without evolution", state, ("tasks", "rounds"), "steady")
        if not isinstance(state["tasks"], list) or not all(isinstance(task, str) for task in state["tasks"]):
            raise ValueError("tasks must be a list of names")
        if tasks is not None and state["tasks"] != tasks:
            raise ValueError(f"tasks = {abbreviated(state['tasks'])}: config.yaml has {tasks!r}")
        if type(state["rounds"]) is not int or state["rounds"] < 0:
            raise ValueError(f"rounds = {abbreviated(state['rounds'])}: must be a whole number, at least 0")
        steady = cls(config, state["tasks"])
        steady.rounds = state["rounds"]
        return steady

    modules = (0, 0)

    def check_stored(self, genotypes: npt.NDArray[np.int32]) -> None:
        """Transitions name no genotypes."""

    def state_dict(self) -> State:
        """Everything but the pending episodes."""
        return {"kind": "steady", "tasks": self.tasks, "rounds": self.rounds}

    @property
    def stages(self) -> Ints:
        """(tasks,) int64, all 0."""
        return np.zeros(len(self.tasks), np.int64)

    def effective_modules(self) -> Ints:
        """(tasks,) int64, all 0."""
        return self.stages

    def record(self, ended: Ended) -> None:
        """Count ended episodes."""
        self.tally.add(ended, 0)

    def begin(self, tasks: Ints) -> None:
        """An episode that begins is like any other."""

    @property
    def due(self) -> bool:
        """Whether every task has had as many episodes as all genotypes of MEGA's population would take."""
        return bool(self.tally.episodes.min() >= self._episodes_due)

    def evolve(self, under_way: Flags | None = None) -> Outcome:
        """The end of a round; the score is the success rate. Episodes under way count in the next."""
        episodes = self.tally.episodes[:, 0].copy()
        performance, mean_return = self.tally.take()
        self.rounds += 1
        success = performance[:, 0]
        return Outcome(success, mean_return[:, 0], success, self.stages, [], [], [], episodes)

    def genotype_ids(self) -> Ints:
        """(tasks,) int64, all 0."""
        return self.stages

    def acting(self) -> Routing:
        """The routing for every purpose."""
        return self._routing

    elite = acting

    def updating(self, stored: torch.Tensor, rng: np.random.Generator) -> Routing:
        """The routing for every purpose; nothing is drawn."""
        return self._routing

    def learn(self) -> None:
        """There is no code to learn."""

    def state_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The pending episodes."""
        return self.tally.state_arrays()

    def load_arrays(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        """Take up :meth:`state_arrays`."""
        self.tally.load_arrays(arrays)
