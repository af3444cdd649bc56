"""The bridge between the community of genotypes and the agent: success in, routing out, growth.

One genotype of a task's population acts in each training episode, in turn, so evaluation costs no extra environment
steps [O]. A round of all tasks is due as soon as every genotype has acted in its episodes. The episodes of Meta-World
all end together. In other suites an episode can be under way when a round ends: one generation started it and the
next one finishes it, so it counts for neither.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from genoevo import Community
from genoevo.community import RecordCommunity, RecordRound, Round
from genoevo.community.candidates import Judge
from genoevo.state import State
from genoevo_mega.config.evolution import EvolutionSettings, Genotypes
from genoevo_mega.envs.episodes import FinishedEpisodes
from genoevo_mega.evolution.communities import community_from_state, make_community
from genoevo_mega.evolution.frontiers import Member, RoutePrice, members, price_of
from genoevo_mega.evolution.genotype_store import GenotypeStore
from genoevo_mega.evolution.outcome import EpisodeStatistics, RoundResult
from genoevo_mega.evolution.places import Places
from genoevo_mega.evolution.relaxed_codes import RelaxedCodes
from genoevo_mega.evolution.round_records import frontier, genealogy, selection
from genoevo_mega.evolution.surrogate import MakeJudge, Surrogate
from genoevo_mega.networks import Routing
from genoevo_runs.arrays import Arrays, Flags, Ints, restore_array


class Evolver:
    """The task populations of a run and the statistics of their episodes since the last round.

    *price* prices the genotypes of frontiers; by default their price is the number of their effective modules.

    Attributes
    ----------
    community : Community or RecordCommunity
        The populations of all tasks.
    acting_genotype : (tasks,) int64
        The genotype of each task's population that acts in the present episode; ``community.size`` for one of its
        archive.
    statistics : genoevo_mega.evolution.outcome.EpisodeStatistics
        Successes and returns of each genotype since the last round.

    """

    def __init__(
        self, community: Community | RecordCommunity, genotypes: Genotypes, price: RoutePrice | None = None
    ) -> None:
        self.community = community
        self._episodes_due = genotypes.episodes
        self._update_with = genotypes.update_with
        self._breed, self._module_budget = genotypes.evolve, genotypes.module_budget
        self._rollback, self._shared_goals = genotypes.rollback, genotypes.shared_goals
        self._critic_routing = genotypes.critic_routing
        tasks = len(community.tasks)
        self.acting_genotype = np.zeros(tasks, np.int64)
        self._places = Places(community)
        self.statistics = EpisodeStatistics(tasks, self._places.turns)
        self._price = None if price is None else price_of(community, price)
        self._spans_rounds = np.zeros(tasks, np.bool_)  # episodes that started before the last round
        self._store = GenotypeStore(community, keep=self._update_with == "stored")
        rate = genotypes.hybrid_rate
        self._relaxed = None if rate is None else RelaxedCodes(community, rate)
        self._tasks = np.arange(tasks)

    @classmethod
    def fresh(
        cls, settings: EvolutionSettings, tasks: list[str], seed: int, price: RoutePrice | None = None
    ) -> Evolver:
        """Return the first generation of a run; ConfigError if its stages exceed the module budget."""
        return cls(make_community(settings, tasks, seed), settings.genotypes, price)

    @classmethod
    def from_state(
        cls, settings: EvolutionSettings, tasks: list[str] | None, state: State, price: RoutePrice | None = None
    ) -> Evolver:
        """Return the evolver that :meth:`state_dict` describes; *tasks* None accepts any.

        UserError if the rules in *settings* differ from the run's; ValueError if the state is corrupt or another's.
        """
        return cls(community_from_state(settings, tasks, state), settings.genotypes, price)

    @property
    def modules(self) -> tuple[int, int]:
        """The least and the largest size that the pool of modules can have."""
        return max(self._store.highest_stage, self.community.start_stage), self.community.growth.max_modules

    def state_dict(self) -> State:
        """Return the state of the community: everything but the pending episodes and the genotype store."""
        return self.community.state_dict()

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks."""
        return self.community.tasks

    @property
    def rounds(self) -> int:
        """The number of rounds so far."""
        return self.community.rounds

    @property
    def stages(self) -> Ints:
        """The stage of each task, (tasks,) int64."""
        return self.community.stages

    def members(self, task: int) -> list[Member]:
        """Return the genotypes of a task that policies can be made of: its frontier's and its elite."""
        return members(self.community, task)

    def effective_modules(self) -> Ints:
        """Return the effective modules of each task's elite, (tasks,) int64."""
        return self.community.effective_modules()[:, 0]

    def record_episodes(self, finished: FinishedEpisodes) -> None:
        """Credit finished episodes to the genotypes that acted in them, and let the next genotypes act."""
        finished = finished.only(~self._spans_rounds[finished.tasks])
        genotype = self.acting_genotype[finished.tasks]
        self.statistics.add(finished, genotype)
        if isinstance(self.community, RecordCommunity):
            places = self._places.acting(self.acting_genotype, self.rounds)[finished.tasks]
            self.community.record.add(finished.tasks, places, finished.success, finished.returns)
        self.acting_genotype[finished.tasks] = (genotype + 1) % self._places.turns

    def start_episodes(self, tasks: Ints) -> Flags:
        """Note that new episodes of *tasks* (n,) start; they belong to the present generation.

        Returns which of them meet the goal of the episode before, (n,) bool.
        """
        self._spans_rounds[tasks] = False
        return (self.acting_genotype[tasks] > 0) & self._shared_goals

    @property
    def due(self) -> bool:
        """Whether every genotype of every task has acted in its episodes."""
        return bool(self.statistics.episodes.min() >= self._episodes_due)

    def end_round(self, under_way: Flags | None = None, judge: Judge | None = None) -> RoundResult:
        """End a round of every task, judged by the episodes since the last round.

        *under_way* (tasks,) marks the tasks in the middle of an episode; None means no task. *judge* scores
        candidates without episodes.
        """
        episodes, stages = self.statistics.episodes.copy(), self.community.stages
        performance, mean_return = (each[:, : self.community.size] for each in self.statistics.take())
        rewritten = self._write_back()
        community = self.community
        if isinstance(community, RecordCommunity):
            done: Round | RecordRound = community.step(
                breed=self._breed, module_budget=self._module_budget, judge=judge, price=self._price
            )
        else:
            done = community.step(
                performance,
                mean_return,
                breed=self._breed,
                module_budget=self._module_budget,
                rollback=self._rollback,
            )
        moved = community.stages != stages
        moved[done.restored] = True
        changed = moved | (done.elites > 0) | (community.rounds == 1) | (rewritten[:, 0] > 0)
        elites = community.population[:: community.size]
        new = {community.tasks[task]: str(elites[int(task)]) for task in np.flatnonzero(changed)}
        self.acting_genotype[:] = 0
        self._spans_rounds[:] = False if under_way is None else under_way
        self._store.extend()
        seen = selection(done, community.tasks, episodes[:, : community.size], performance, mean_return)
        if isinstance(done, RecordRound) and done.settled:
            names = [community.tasks[task] for task in done.settled]
            seen["frontier"] = frontier(names, [self.members(task) for task in done.settled])
        descent = {"elite": new, "genealogy": genealogy(done), "selection": seen}
        if self._relaxed:
            self._relaxed.follow_round(self._sources(done, moved))
            descent["rewritten"] = dict(zip(community.tasks, rewritten.sum(axis=1).tolist(), strict=True))
        return RoundResult(
            success=performance.mean(axis=1),
            mean_return=mean_return.mean(axis=1),
            best_score=done.scores.max(axis=1),
            effective_modules=done.effective_modules[np.arange(len(done.elites)), done.elites],
            grown=done.grown,
            shrunk=done.shrunk,
            restored=done.restored,
            episodes=episodes.sum(axis=1),
            descent=descent,
        )

    @property
    def drops_modules(self) -> bool:
        """Whether the pool gives modules back that no task has any more."""
        return self.community.growth.unused_patience is not None

    @property
    def surrogate(self) -> MakeJudge | None:
        """What makes a judge of candidates by the values of their actions; None if candidates are not judged."""
        community = self.community
        wanted = isinstance(community, RecordCommunity) and community.wants_judge and self._breed
        return partial(Surrogate, self._store) if wanted else None

    def _write_back(self) -> Ints:
        """Write the relaxed codes into the bits; return the changed genes of each genotype, (tasks, size)."""
        shape = len(self._tasks), self.community.size
        return self._relaxed.write_back().reshape(shape) if self._relaxed else np.zeros(shape, np.int64)

    def _sources(self, done: Round, moved: Flags) -> Ints:
        """Return the row of each genotype before the round; -1 if it is new or its task has *moved*."""
        rows = np.full((len(self._tasks), self.community.size), -1)
        rows[:, 0] = self._tasks * self.community.size + done.elites
        if not self._breed:
            rows[:, 1:] = done.parents[:, :, 0]
        rows[moved] = -1
        return rows.ravel()

    def genotype_ids(self) -> Ints:
        """Return the number of the genotype that acts for each task, (tasks,) int64; stored with transitions."""
        return self._numbers(self._places.acting(self.acting_genotype, self.rounds))

    def _numbers(self, places: Ints) -> Ints:
        return self._store.first_id + self._places.rows(places)

    def acting_routing(self) -> Routing:
        """Return the routing of the genotypes that act in the present episodes."""
        return self._store.routing(self.genotype_ids()[:, None])

    def elite_routing(self) -> Routing:
        """Return the routing of each task's elite, the first genotype of its population."""
        return self.population_routing(0)

    def population_routing(self, place: int) -> Routing:
        """Return the routing of the genotype at *place* of each task's population; 0 is the elite."""
        return self._store.routing(self._numbers(np.full_like(self._tasks, place))[:, None])

    def update_routing(self, stored: torch.Tensor, rng: np.random.Generator) -> Routing:
        """Return the routing for a gradient step, as ``update_with`` says.

        *stored* (tasks, batch) are the genotype numbers of the batch's transitions.

        If gradient steps train the codes, the routing requires grad and :meth:`step_relaxed_codes` makes the step.
        """
        if self._update_with == "stored":
            return self._store.routing(stored.numpy())
        place = np.zeros(len(self._tasks), np.int64)
        if self._update_with == "sample":
            place = rng.integers(0, self.community.size, len(self._tasks))
        if self._relaxed:
            return self._relaxed.routing(self._tasks * self.community.size + place)
        return self._store.routing(self._numbers(self._places.trained(place, rng))[:, None])

    def critic_routing(self, actor_routing: Routing) -> Routing:
        """Return the critics' routing for an update whose actor has *actor_routing*, as the settings say."""
        if self._critic_routing == "elite":
            return self.elite_routing()
        if self._critic_routing == "uniform":
            return self._store.uniform_routing()
        return actor_routing

    def step_relaxed_codes(self) -> None:
        """Make a gradient step of the relaxed codes that the last update used, if codes are trained."""
        if self._relaxed:
            self._relaxed.step()

    def state_arrays(self) -> Arrays:
        """Return pending episodes and, if there are any, stored genotypes and relaxed codes, by name."""
        own = {"driving": self.acting_genotype, "crossing": self._spans_rounds}
        relaxed = self._relaxed.state_arrays() if self._relaxed else {}
        return {**own, **self.statistics.state_arrays(), **self._store.state_arrays(), **relaxed}

    def load_arrays(self, arrays: Arrays) -> None:
        """Restore :meth:`state_arrays`; ValueError if they do not fit."""
        restore_array("driving", self.acting_genotype, arrays["driving"])
        if ((self.acting_genotype < 0) | (self.acting_genotype >= self._places.turns)).any():
            found = self.acting_genotype.tolist()
            raise ValueError(f"driving must be genotypes 0 to {self._places.turns - 1}, got {found}")
        self.statistics.load_arrays(arrays)
        if "crossing" in arrays:  # older checkpoints have none
            restore_array("crossing", self._spans_rounds, arrays["crossing"])
        self._store.load_arrays(arrays)
        if self._relaxed and "relaxed_codes" in arrays:  # a run that started without them starts from its codes
            self._relaxed.load_arrays(arrays)

    def check_stored(self, genotypes: npt.NDArray[np.integer[Any]]) -> None:
        """Raise ValueError if transitions name *genotypes* (n,) whose weights are not stored."""
        if self._update_with == "stored" and len(genotypes):
            self._store.check(int(genotypes.min()), int(genotypes.max()))
