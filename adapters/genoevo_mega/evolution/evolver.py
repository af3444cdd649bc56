"""The bridge between the community of genotypes and the agent: success in, weights out, growth.

Each training episode of a task is driven by one genotype of its population, in turn, so that evaluating genotypes
costs no environment steps of its own [O]. A round of all tasks is due as soon as every genotype has driven its
episodes. Meta-World's episodes all end together. Where a suite's do not, those under way at a round were begun by one
generation and are ended by the next: they count for neither.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from genoevo import Community, StagedLayout
from genoevo.community import Round
from genoevo.state import State
from genoevo_mega.config.run import Config
from genoevo_mega.envs.episodes import Ended
from genoevo_mega.evolution.genotype_store import _Archive
from genoevo_mega.evolution.outcome import Outcome, Tally
from genoevo_mega.evolution.relaxed_codes import Relaxed
from genoevo_mega.networks import Routing
from genoevo_runs.arrays import Flags, Ints, restore_array
from genoevo_runs.errors import ConfigError, UserError


class Evolver:
    """The task populations of a run, and what their episodes have shown since the last round.

    Attributes
    ----------
    community : Community
    driving : (tasks,) int64
        The genotype, within its task's population, that drives the task's present episode.
    tally : Tally
        What the episodes since the last round have shown of each genotype.

    """

    def __init__(self, community: Community, config: Config) -> None:
        self.community = community
        self._episodes_due = config.genotypes.episodes
        self._update_with = config.genotypes.update_with
        self._breed, self._module_budget = config.genotypes.evolve, config.genotypes.module_budget
        self._rollback = config.genotypes.rollback
        tasks, size = len(community.tasks), community.size
        self.driving = np.zeros(tasks, np.int64)
        self.tally = Tally(tasks, size)
        self._crossing = np.zeros(tasks, np.bool_)  # episodes that began before the last round
        self._archive = _Archive(community, keep=self._update_with == "stored")
        rate = config.genotypes.hybrid_rate
        self._relaxed = None if rate is None else Relaxed(community, rate)
        self._tasks = np.arange(tasks)

    @classmethod
    def fresh(cls, config: Config, tasks: list[str], seed: int) -> Evolver:
        """The first generation of a run; ConfigError where its stages exceed the budget of modules."""
        genotypes = config.genotypes
        least = len(tasks) * genotypes.start_stage
        if genotypes.module_budget is not None and genotypes.module_budget < least:
            raise ConfigError(
                f"genotypes.module_budget = {genotypes.module_budget}: must be at least {least}, "
                f"{len(tasks)} tasks of stage {genotypes.start_stage}"
            )
        community = Community(
            StagedLayout(genotypes.precision),
            tasks,
            seed=seed,
            size=genotypes.population_size,
            stage=genotypes.start_stage,
            reproduction=config.reproduction,
            mating=config.mating,
            growth=config.growth,
            decoding=config.decoding,
        )
        return cls(community, config)

    @classmethod
    def from_state(cls, config: Config, tasks: list[str] | None, state: State) -> Evolver:
        """Continue where :meth:`state_dict` was taken; *tasks* None are any.

        Raises UserError where the config's rules are not the run's, ValueError where the state is damaged or of
        another run.
        """
        community = Community.from_state(state)
        for rules in ("reproduction", "mating", "growth", "decoding"):
            if getattr(community, rules) != getattr(config, rules):
                raise UserError(f"config.yaml: {rules} is not what the run began with: {getattr(community, rules)}")
        genotypes = config.genotypes
        expected: dict[str, Any] = {"size": genotypes.population_size, "start_stage": genotypes.start_stage}
        if tasks is not None:
            expected["tasks"] = tasks
        for name, value in expected.items():
            if getattr(community, name) != value:
                raise ValueError(f"{name} = {getattr(community, name)!r}: config.yaml has {value!r}")
        if community.layout.precision != genotypes.precision:
            raise ValueError(f"precision = {community.layout.precision}: config.yaml has {genotypes.precision}")
        return cls(community, config)

    @property
    def modules(self) -> tuple[int, int]:
        """How few and how many modules the pool can have."""
        rules = self.community.growth
        return max(int(self.stages.max()), self.community.start_stage), rules.max_modules

    def state_dict(self) -> State:
        """The community's state: everything but the pending episodes and the archive."""
        return self.community.state_dict()

    @property
    def tasks(self) -> list[str]:
        """Names."""
        return self.community.tasks

    @property
    def rounds(self) -> int:
        """Rounds so far."""
        return self.community.rounds

    @property
    def stages(self) -> Ints:
        """(tasks,) int64: each task's stage."""
        return self.community.stages

    def effective_modules(self) -> Ints:
        """(tasks,) int64: those of each task's elite, the first of its population."""
        return self.community.effective_modules()[:, 0]

    def record(self, ended: Ended) -> None:
        """Credit ended episodes to the genotypes that drove them, and let the next genotypes drive."""
        ended = ended.only(~self._crossing[ended.tasks])
        genotype = self.driving[ended.tasks]
        self.tally.add(ended, genotype)
        self.driving[ended.tasks] = (genotype + 1) % self.community.size

    def begin(self, tasks: Ints) -> None:
        """Episodes of *tasks* (n,) begin: they are the present generation's, whatever became of those before."""
        self._crossing[tasks] = False

    @property
    def due(self) -> bool:
        """Whether every genotype of every task has driven its episodes."""
        return bool(self.tally.episodes.min() >= self._episodes_due)

    def evolve(self, under_way: Flags | None = None) -> Outcome:
        """A round of every task, judged by the episodes since the last one.

        *under_way* (tasks,) marks those in the middle of an episode; without it there are none.
        """
        episodes, stages = self.tally.episodes.sum(axis=1), self.community.stages
        performance, mean_return = self.tally.take()
        rewritten = self._write_back()
        done = self.community.step(
            performance,
            mean_return,
            breed=self._breed,
            module_budget=self._module_budget,
            rollback=self._rollback,
        )
        moved = self.community.stages != stages
        moved[done.restored] = True
        changed = moved | (done.elites > 0) | (self.community.rounds == 1) | (rewritten[:, 0] > 0)
        elites = self.community.population[:: self.community.size]
        new = {self.community.tasks[task]: str(elites[int(task)]) for task in np.flatnonzero(changed)}
        self.driving[:] = 0
        self._crossing[:] = False if under_way is None else under_way
        self._archive.extend()
        descent = {"elite": new, "genealogy": _genealogy(done)}
        if self._relaxed:
            self._relaxed.succeed(self._sources(done, moved))
            descent["rewritten"] = dict(zip(self.community.tasks, rewritten.sum(axis=1).tolist(), strict=True))
        return Outcome(
            success=performance.mean(axis=1),
            mean_return=mean_return.mean(axis=1),
            best_score=done.scores.max(axis=1),
            effective_modules=done.effective_modules[np.arange(len(done.elites)), done.elites],
            grown=done.grown,
            shrunk=done.shrunk,
            restored=done.restored,
            episodes=episodes,
            descent=descent,
        )

    def _write_back(self) -> Ints:
        """Gradient steps into the bits; (tasks, size): how many genes of each genotype they have changed."""
        shape = len(self._tasks), self.community.size
        return self._relaxed.write_back().reshape(shape) if self._relaxed else np.zeros(shape, np.int64)

    def _sources(self, done: Round, moved: Flags) -> Ints:
        """The row that each genotype had before the round, -1 where it is new or of a task that has *moved*."""
        rows = np.full((len(self._tasks), self.community.size), -1)
        rows[:, 0] = self._tasks * self.community.size + done.elites
        if not self._breed:
            rows[:, 1:] = done.parents[:, :, 0]
        rows[moved] = -1
        return rows.ravel()

    def genotype_ids(self) -> Ints:
        """(tasks,) int64: the archive's number of the genotype that drives each task; stored with transitions."""
        return self._first_ids() + self.driving

    def _first_ids(self) -> Ints:
        return self._archive.first_id + self._tasks * self.community.size

    def acting(self) -> Routing:
        """Weights of the genotypes that drive the present episodes."""
        return self._archive.routing(self.genotype_ids()[:, None])

    def elite(self) -> Routing:
        """Weights of each task's elite, the first of its population."""
        return self._archive.routing(self._first_ids()[:, None])

    def updating(self, stored: torch.Tensor, rng: np.random.Generator) -> Routing:
        """Weights for a gradient step, by ``update_with``; *stored* (tasks, batch) are genotype numbers.

        Where gradient steps train them, they ask for a gradient, and :meth:`learn` makes the step.
        """
        if self._update_with == "stored":
            return self._archive.routing(stored.numpy())
        place = np.zeros(len(self._tasks), np.int64)
        if self._update_with == "sample":
            place = rng.integers(0, self.community.size, len(self._tasks))
        if self._relaxed:
            return self._relaxed.routing(self._tasks * self.community.size + place)
        return self._archive.routing((self._first_ids() + place)[:, None])

    def learn(self) -> None:
        """A step of the codes that the last gradient step used, by the gradient that it gave their weights."""
        if self._relaxed:
            self._relaxed.learn()

    def state_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What is not in the community: pending episodes and, where there are any, archive and relaxed codes."""
        own = {"driving": self.driving, "crossing": self._crossing}
        relaxed = self._relaxed.state_arrays() if self._relaxed else {}
        return {**own, **self.tally.state_arrays(), **self._archive.state_arrays(), **relaxed}

    def load_arrays(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        """Take up :meth:`state_arrays`; ValueError where they do not fit."""
        restore_array("driving", self.driving, arrays["driving"])
        if ((self.driving < 0) | (self.driving >= self.community.size)).any():
            raise ValueError(f"driving must be genotypes 0 to {self.community.size - 1}, got {self.driving.tolist()}")
        self.tally.load_arrays(arrays)
        if "crossing" in arrays:  # older checkpoints have none
            restore_array("crossing", self._crossing, arrays["crossing"])
        self._archive.load_arrays(arrays)
        if self._relaxed and "relaxed_codes" in arrays:  # a run that was begun without starts from its codes
            self._relaxed.load_arrays(arrays)

    def check_stored(self, genotypes: npt.NDArray[np.int32]) -> None:
        """ValueError where transitions name *genotypes* (n,) whose weights an update would ask for in vain."""
        if self._update_with == "stored" and len(genotypes):
            self._archive.check(int(genotypes.min()), int(genotypes.max()))


def _genealogy(done: Round) -> dict[str, Any]:
    """Where the genotypes of the next generation come from, as JSON values.

    ``survivors``: for each task the place, within its population, of the genotype that stays, as the first of the
    next. ``children``: for each task its further genotypes, each [origin, parent, parent], with
    :class:`~genoevo.operators.reproduction.Origin` and rows of the evaluated community, -1 where there is none.
    """
    children = np.concatenate([done.origins[:, :, None], done.parents], axis=2)
    return {"survivors": done.elites.tolist(), "children": children.tolist()}
