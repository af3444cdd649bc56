"""The trained policies of a run, one task at a time: an object with ``predict``.

The network of one task is :class:`~genoevo_mega.networks.single_task.TaskPolicy` for MEGA and
:class:`~genoevo_mega.networks.single_task.FixedPolicy` for the other architectures.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genoevo_mega.agents.distribution import gaussian, mean_action
from genoevo_mega.agents.sac import SacAgent
from genoevo_mega.config.run import Config
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.suite import Suite
from genoevo_mega.evolution.frontiers import Member
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.frontiers import routing_of
from genoevo_mega.networks import FixedNetwork, ModularNetwork, Routing
from genoevo_mega.networks.module_graph import ModuleGraph
from genoevo_mega.networks.single_task import FixedPolicy, TaskPolicy
from genoevo_mega.training import checkpoint
from genoevo_runs.arrays import Floats
from genoevo_runs.errors import UserError, nearest
from genoevo_runs.manifest import LATEST, Which
from genoevo_runs.run_kind import Tell, silent


@dataclass(frozen=True)
class Trained:
    """The result of a run: its agent, and the routing of every task's elite genotype, if it has genotypes.

    ``steps`` are the environment steps after which it was saved. ``members`` are the genotypes of each task that
    policies can be made of: its frontier's and its elite.
    """

    config: Config
    suite: Suite
    agent: SacAgent
    routing: Routing
    steps: int = 0
    members: tuple[tuple[Member, ...], ...] = ()

    @classmethod
    def of_run(cls, directory: Path, which: Which = LATEST, tell: Tell = silent) -> Trained:
        """Load a checkpoint, the newest by default, on the CPU whatever device it trained on.

        *which* is that of :func:`genoevo_runs.manifest.chosen`. *tell* is called with a line about each corrupt
        checkpoint that is passed over. UserError if there is none.
        """
        config = runs.open_config(directory)
        config = config.model_copy(update={"compute": config.compute.model_copy(update={"device": "cpu"})})
        suite = make_suite(config)
        path = checkpoint.find(directory, tell, which)
        agent, evolver = checkpoint.load_policy(path, config, suite)
        members = tuple(tuple(evolver.members(task)) for task in range(len(suite.names)))
        return cls(config, suite, agent, evolver.elite_routing(), checkpoint.read_state(path)["steps"], members)

    def with_genotypes(self, genotypes: Mapping[int, str]) -> Trained:
        """Return the same agent with other genotypes, bit strings by task, for instance those of :attr:`members`."""
        inputs, output, stages = self.routing.inputs.clone(), self.routing.output.clone(), list(self.routing.stages)
        if genotypes:
            tasks, routing = list(genotypes), routing_of(self.config, list(genotypes.values()))
            inputs[tasks], output[tasks] = routing.inputs, routing.output
            for task, stage in zip(tasks, routing.stages, strict=True):
                stages[task] = stage
        return replace(self, routing=Routing(inputs, output, tuple(stages)))

    def tasks(self, chosen: str) -> list[int]:
        """Return the indices of ``all`` or of a task's name; UserError for any other name."""
        names = list(self.suite.names)
        if chosen != "all" and chosen not in names:
            raise UserError(f"task = {chosen!r}: must be all or one of {', '.join(names)}{nearest(chosen, names)}")
        return list(range(len(names))) if chosen == "all" else [names.index(chosen)]

    def policy(self, task: int, *, greedy: bool = True, threshold: float = 0.0) -> TaskPolicy | FixedPolicy:
        """Return one task's greedy policy, or the mean and log standard deviation of its Gaussian.

        *threshold* is that of :meth:`~genoevo_mega.networks.module_graph.ModuleGraph.of_task`; without genotypes
        there is nothing that it could cut. UserError for a custom architecture that is not a
        :class:`~genoevo_mega.networks.fixed.FixedNetwork`.
        """
        network, outputs = self.agent.actor_ema if greedy else self.agent.actor, self.suite.action_size
        outputs = outputs if greedy else 2 * outputs
        if isinstance(network, FixedNetwork):
            return FixedPolicy(network, task, self.suite.observation_size, outputs, squash=greedy)
        if not isinstance(network, ModularNetwork):
            raise UserError(
                f"architecture = {self.config.architecture!r}: one task's policy can be taken only "
                "from a genoevo_mega.networks.FixedNetwork"
            )
        return TaskPolicy(network, task, ModuleGraph.of_task(self.routing, task, threshold), outputs, squash=greedy)

    @torch.no_grad()
    def greedy(self, observations: Tensor) -> Tensor:
        """Return actions (tasks, batch, action_size) of the whole network for (tasks, batch, observation_size)."""
        return mean_action(self.agent.actor_ema(observations, self.routing)[0])


class Policy:
    """The greedy policies of a run, with the interface of stable-baselines3.

    Attributes
    ----------
    tasks : tuple of str
        The names that :meth:`predict` takes.
    observation_size, action_size : int

    """

    def __init__(self, trained: Trained, seed: int | None = None) -> None:
        self.tasks = tuple(trained.suite.names)
        self.observation_size, self.action_size = trained.suite.observation_size, trained.suite.action_size
        self._rng, self._log_std_min = np.random.default_rng(seed), trained.config.sac.log_std_min
        self._network = functools.cache(trained.policy)  # made on first use: a suite may have many tasks

    @torch.no_grad()
    def predict(
        self, observation: npt.ArrayLike, task: str | int, *, deterministic: bool = True
    ) -> tuple[Floats, None]:
        """Return the action for one observation of a task, or for each of a batch.

        Parameters
        ----------
        observation
            (observation_size,) or (batch, observation_size), as the task's environment gives it.
        task
            Its name or its index in :attr:`tasks`.
        deterministic
            False draws from the policy's Gaussian, from the seed given to :func:`load_policy`.

        Returns
        -------
        (action_size,) or (batch, action_size) float32 in [-1, 1]; and None in the place of
        stable-baselines3's state of a recurrent policy.

        Raises
        ------
        ValueError
            For an unknown task, or an observation of another shape or with values that are not finite.

        """
        index, rows = self._index(task), np.asarray(observation, np.float32)
        if rows.ndim not in (1, 2) or rows.shape[-1] != self.observation_size:
            size = self.observation_size
            raise ValueError(f"observation must have shape ({size},) or (batch, {size}), got {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError("observation must be finite")
        batch = torch.from_numpy(np.atleast_2d(rows))
        if deterministic:
            actions = self._network(index)(batch).numpy()
        else:
            mean, log_std = gaussian(self._network(index, greedy=False)(batch), self._log_std_min)
            noise = self._rng.standard_normal(mean.shape, np.float32)
            actions = np.tanh(mean.numpy() + log_std.exp().numpy() * noise)
        return (actions[0] if rows.ndim == 1 else actions), None

    def _index(self, task: str | int) -> int:
        names = list(self.tasks)
        if isinstance(task, str) and task in names:
            return names.index(task)
        if isinstance(task, (int, np.integer)) and 0 <= task < len(names):
            return int(task)
        raise ValueError(
            f"task must be one of {', '.join(names)} or its index, got {task!r}{nearest(str(task), names)}"
        )


def load_policy(directory: Path, *, seed: int | None = None, checkpoint: Which = LATEST) -> Policy:
    """Load the policies of a run's *checkpoint*: ``latest``, ``best`` or a step; UserError if there is none."""
    return Policy(Trained.of_run(Path(directory), checkpoint), seed)
