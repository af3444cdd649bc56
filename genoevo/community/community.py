"""The community of MEGA: one population of genotypes per task, mating across tasks, stages that grow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genoevo._types import Flags
from genoevo.community.growth_rule import GrowthHistory, resized, stage_changes
from genoevo.community.populations import TaskPopulations
from genoevo.community.rollback import Replaced
from genoevo.community.round import Round, check_result, elite_first, next_generation, unchanged
from genoevo.state import State


class Community(TaskPopulations):
    """The populations of several tasks, which evolve together, each genotype judged by the last round alone.

    Parameters
    ----------
    layout
        The genotypes' :class:`~genoevo.StagedLayout`.
    tasks
        Names of the tasks, each once.
    seed
        Seed of the generator that makes every random decision.
    size
        Genotypes per task: 3 (MT10), 4 (MT50) [P].
    stage
        Start stage of every task: 3 [P].
    reproduction, mating, growth, decoding
        The rules; see their classes.

    Attributes
    ----------
    population : Population
        All genotypes. Task t has the rows ``t * size`` to ``(t + 1) * size``; after a round the first of them is
        its elite. Fitness is (score, mean return) of the last round, NaN for new genotypes.
    rounds : int
        Number of rounds so far.

    """

    def _begin(self) -> None:
        n = len(self.tasks)
        self._history = GrowthHistory.fresh(n)
        self._replaced = Replaced(self.population, np.full(n, np.nan))

    def step(
        self,
        performance: npt.ArrayLike,
        mean_return: npt.ArrayLike | None = None,
        *,
        breed: bool = True,
        module_budget: int | None = None,
        rollback: float | None = None,
    ) -> Round:
        """Run one round for every task: scores, growth rule, elite, children.

        Parameters
        ----------
        performance
            (tasks, size) in [0, 1]: how well each genotype did since the last round, e.g. its success rate.
        mean_return
            (tasks, size), in any finite unit: breaks ties, and measures improvement while performance is 0. None
            means zeros.
        breed
            False keeps all genotypes, with their fitness and the elite in front. Stages may still change.
        module_budget
            Largest sum of all tasks' stages that growth may reach. Tasks without improvement for longest grow
            first [O].
        rollback
            Largest loss of mean performance that a new generation may bring. A task that loses more gets the
            generation before and its stage back, to be evaluated again [O]. If *module_budget* has no room for all
            of these stages, the tasks that lost most come first. None never rolls back.

        Raises
        ------
        ValueError
            For a wrong shape, a performance outside [0, 1] or a return that is not finite. Nothing is changed then.

        """
        performance = check_result("performance", performance, self.tasks, self.size)
        mean_return = np.zeros_like(performance) if mean_return is None else mean_return
        mean_return = check_result("mean_return", mean_return, self.tasks, self.size)
        if not ((performance >= 0) & (performance <= 1)).all():
            raise ValueError("performance must be between 0 and 1")
        effective, stages = self.effective_modules(), self.stages
        scores = performance * (1 - self.mating.usage_cost * effective / stages[:, None])
        self.population.fitness = np.stack([scores.ravel(), mean_return.ravel()], axis=1)
        merit = self.population.merit()
        elites = merit.reshape(-1, self.size).argmax(axis=1)
        self._history.update(performance, scores, mean_return, self.growth)
        self.rounds += 1
        means = performance.mean(axis=1)
        worse = self._replaced.worse(means, stages, self.layout, tolerance=rollback, budget=module_budget)
        judged = self.population[elite_first(elites, self.size).ravel()]
        grown, shrunk = stage_changes(
            self.growth,
            stagnant=self._history.stagnant,
            mastered=means >= self.growth.mastery,
            spare=effective[np.arange(len(elites)), elites] < stages,
            stages=np.where(worse, self._replaced.stages(self.layout), stages),
            start_stage=self.start_stage,
            rounds=self.rounds,
            held=worse,
            budget=module_budget,
        )
        if breed:
            self.population, parents, origins = next_generation(
                self.population, merit, elites, self.mating, self.reproduction, self.layout, self.rng
            )
        else:
            self.population = judged
            parents, origins = unchanged(elites, self.size)
        self.population = resized(self.population, grown, shrunk, self.size, self.layout, self.growth.fill, self.rng)
        self._history.forget(grown + shrunk)
        self._restore(worse)
        if rollback is not None:
            self._replaced = Replaced(judged.unevaluated(), np.where(worse, np.nan, means))
        return Round(scores, effective, elites, grown, shrunk, parents, origins, np.flatnonzero(worse).tolist())

    def _restore(self, worse: Flags) -> None:
        if worse.any():
            stages = self.stages
            rows = np.flatnonzero(np.repeat(worse, self.size))
            self.population = self.population.replaced(rows, self._replaced.population[rows])
            self._history.forget(np.flatnonzero(self.stages != stages).tolist())

    def state_dict(self) -> State:
        """Return the whole state as nested dicts of arrays and JSON values; :func:`genoevo.state.save` writes it."""
        return {**super().state_dict(), "memory": self._history.as_arrays(), **self._replaced.as_state()}

    @classmethod
    def from_state(cls, state: State) -> Community:
        """Resume from what :meth:`state_dict` gave, bit for bit; ValueError if it is not the state of a community."""
        community = cls._restored(state, ("memory",))
        if "record" in state:
            raise ValueError("this is the state of a community whose genotypes keep a record; see RecordCommunity")
        tasks = community.tasks
        community._history = GrowthHistory.from_state(state["memory"], len(tasks))
        if replaced := state.get("replaced"):
            community._replaced = Replaced.from_state(replaced, community.layout, tasks, community.size)
        return community
