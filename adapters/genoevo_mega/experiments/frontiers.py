"""The frontiers of a run's tasks: what each genotype's policy costs, and what it achieves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genoevo_mega.agents.sac import SacAgent
from genoevo_mega.config.run import Config
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.suite import Suite, first_goal
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.costs import Costed, Costs, routing_of
from genoevo_mega.experiments.history import naming_edits
from genoevo_mega.networks.single_task import TaskPolicy
from genoevo_mega.training import checkpoint
from genoevo_mega.training.evaluation import SuccessRate, evaluate, greedy
from genoevo_runs.errors import UserError
from genoevo_runs.manifest import LATEST, Which
from genoevo_runs.run_kind import Tell, silent


@dataclass(frozen=True)
class Measured:
    """A genotype of a task, and its success in greedy episodes on goals that training never saw."""

    costed: Costed
    success: SuccessRate

    def as_json(self) -> dict[str, Any]:
        """Return all that is known, as JSON values."""
        return {**self.costed.as_json(), **asdict(self.success)}


@dataclass(frozen=True)
class Frontiers:
    """The genotypes of a run that policies can be made of, and what it takes to measure them.

    Attributes
    ----------
    steps : int
        Environment steps of training.
    tasks : list of list of Costed
        Each task's settled genotypes and elite, the cheapest first.
    full_multiply_adds : int
        Multiply-adds of a policy that uses the whole pool.

    """

    config: Config
    suite: Suite
    agent: SacAgent
    steps: int
    tasks: list[list[Costed]]
    full_multiply_adds: int

    @classmethod
    def of_run(cls, directory: Path, tell: Tell = silent, which: Which = LATEST) -> Frontiers:
        """Load a checkpoint of a run, see :func:`genoevo_runs.manifest.chosen`; UserError if nothing has settled."""
        config = runs.open_config(directory)
        suite = make_suite(config)
        path = checkpoint.find(directory, tell, which)
        with naming_edits(directory, runs.read_origin(directory), config):
            agent, evolver = checkpoint.load_policy(path, config, suite)
        members = [evolver.members(task) for task in range(len(suite.names))]
        if not any(one.settled for of_task in members for one in of_task):
            why = "no genotype has settled yet" if config.frontier.size else "it has frontier.size = 0"
            raise UserError(f"{directory} has no frontier: {why}")
        network, outputs = agent.actor_ema, suite.action_size
        costs = Costs(config, suite)
        tasks = [costs.of(of_task) for of_task in members]
        ahead = agent.normaliser.input_map(0, agent.critics)
        full = TaskPolicy.of_whole_pool(network, outputs, ahead).multiply_adds
        return cls(config, suite, agent, checkpoint.read_state(path)["steps"], tasks, full)

    @property
    def most(self) -> int:
        """The largest number of genotypes of a task."""
        return max(map(len, self.tasks))

    def measure(
        self, episodes: int, progress: Callable[[int], None] = lambda done: None
    ) -> dict[str, list[Measured]]:
        """Return the success of every genotype, by task; all genotypes of a task play the same episodes.

        *progress* is called with the number of episodes done, out of :attr:`most` times *episodes*.
        """
        config, length = self.config, self.config.environment.episode_length
        first = first_goal(config.environment.change_at, self.steps)
        measured: list[list[Measured]] = [[] for _ in self.tasks]
        torch.set_num_threads(config.compute.threads)
        compute, timeout = config.compute, config.faults.worker_timeout
        with RolloutPool(self.suite, compute.workers, rollouts=compute.rollouts, timeout=timeout) as pool:
            for place in range(self.most):
                wanted = np.array([place < len(of_task) for of_task in self.tasks])
                chosen = [of_task[min(place, len(of_task) - 1)].member.bits for of_task in self.tasks]
                rates = evaluate(
                    pool,
                    greedy(self.agent, routing_of(config, chosen)),
                    episodes,
                    length,
                    lambda done, before=place * episodes: progress(before + done),
                    first_goal=first,
                    wanted=wanted,
                )
                assert rates is not None  # nothing stops it
                for task in np.flatnonzero(wanted).tolist():
                    measured[task].append(Measured(self.tasks[task][place], rates[task]))
        return dict(zip(self.suite.names, measured, strict=True))
