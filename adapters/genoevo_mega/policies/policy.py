"""The trained policies of a run, one task at a time: an object with ``predict``.

The network of one task is :class:`~genoevo_mega.networks.single_task.TaskPolicy` for MEGA and
:class:`~genoevo_mega.networks.single_task.FixedPolicy` for the other architectures.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genoevo_mega.agents.distribution import gaussian
from genoevo_mega.agents.sac import SacAgent
from genoevo_mega.config.run import Config
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.space import TaskSpace, spaces_of
from genoevo_mega.envs.suite import Suite
from genoevo_mega.evolution.frontiers import Member
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.costs import routing_of
from genoevo_mega.experiments.history import naming_edits
from genoevo_mega.networks import FixedNetwork, InputMap, ModularNetwork, Routing
from genoevo_mega.networks.module_graph import ModuleGraph
from genoevo_mega.networks.single_task import FixedPolicy, TaskPolicy
from genoevo_mega.training import checkpoint
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
        with naming_edits(directory, runs.read_origin(directory), config):
            agent, evolver = checkpoint.load_policy(path, config, suite)
        members = tuple(tuple(evolver.members(task)) for task in range(len(suite.names)))
        return cls(config, suite, agent, evolver.elite_routing(), checkpoint.read_state(path)["steps"], members)

    def with_genotypes(self, genotypes: Mapping[int, str]) -> Trained:
        """Return the same agent with other genotypes, bit strings by task, for instance those of ``members``."""
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
            size, ahead = self.suite.observation_size, self.ahead(task)
            return FixedPolicy(network, task, size, outputs, squash=greedy, ahead=ahead)
        if not isinstance(network, ModularNetwork):
            raise UserError(
                f"architecture = {self.config.architecture!r}: one task's policy can be taken only "
                "from a genoevo_mega.networks.FixedNetwork"
            )
        graph = ModuleGraph.of_task(self.routing, task, threshold)
        return TaskPolicy(network, task, graph, outputs, squash=greedy, ahead=self.ahead(task))

    def ahead(self, task: int) -> InputMap | None:
        """Return what the actor sees of a task's observation; None for the observation itself."""
        return self.agent.normaliser.input_map(task, self.agent.critics)

    def greedy(self, observations: Tensor) -> Tensor:
        """Return actions (tasks, batch, action_size) of the whole network for (tasks, batch, observation_size)."""
        return self.agent.greedy_actions(observations, self.routing)


class Policy:
    """The greedy policies of a run, in the units of each task's own environment.

    Attributes
    ----------
    tasks : tuple of str
        The names that :meth:`predict` takes.
    spaces : tuple of TaskSpace
        The shapes of each task's observations and actions, and the bounds of its actions.
    observation_size, action_size : int
        The sizes of the suite, which are those of the largest task.

    """

    def __init__(self, trained: Trained, seed: int | None = None) -> None:
        self.tasks, self.spaces = tuple(trained.suite.names), spaces_of(trained.suite)
        self.observation_size, self.action_size = trained.suite.observation_size, trained.suite.action_size
        sac = trained.config.sac
        self._rng, self._bounds = np.random.default_rng(seed), (sac.log_std_min, sac.log_std_max)
        self._network = functools.cache(trained.policy)  # made on first use: a suite may have many tasks

    @torch.no_grad()
    def predict(
        self, observation: npt.ArrayLike, task: str | int | None = None, *, deterministic: bool = True
    ) -> tuple[npt.NDArray[Any], None]:
        """Return the action for one observation of a task, or for each of a batch.

        Parameters
        ----------
        observation
            As the task's own environment gives it, of the shape in :attr:`spaces`, or a batch of them.
        task
            Its name or its index in :attr:`tasks`; None if the run has one task.
        deterministic
            False draws from the policy's Gaussian, from the seed given to :func:`load_policy`.

        Returns
        -------
        The action as the task's own environment takes it, or a batch of them: within its bounds, of its shape and
        dtype; and None in the place of stable-baselines3's state of a recurrent policy.

        Raises
        ------
        ValueError
            For an unknown task, an observation that has another shape or is not finite real numbers, or a
            *deterministic* that is no truth value.

        """
        if not isinstance(deterministic, bool | np.bool_):
            raise ValueError(f"deterministic must be True or False, got {deterministic!r:.80}")
        index = self._index(task)
        space = self.spaces[index]
        rows, single = _batch(observation, space.observation_shape)
        batch = torch.from_numpy(space.padded(rows, self.observation_size))
        if deterministic:
            actions = self._network(index)(batch).numpy()
        else:
            mean, log_std = gaussian(self._network(index, greedy=False)(batch), self._bounds)
            noise = self._rng.standard_normal(mean.shape, np.float32)
            actions = np.tanh(mean.numpy() + log_std.exp().numpy() * noise)
        own = space.own_actions(actions)
        return (own[0] if single else own), None

    def for_task(self, task: str | int) -> OneTask:
        """Return the policy of one task, whose ``predict`` takes what that of stable-baselines3 takes."""
        return OneTask(self, self.tasks[self._index(task)])

    def _index(self, task: str | int | None) -> int:
        names = list(self.tasks)
        if task is None:
            if len(names) == 1:
                return 0
            raise ValueError(f"task must be given, one of {', '.join(names)}; for_task(NAME) is the policy of one")
        if isinstance(task, str) and task in names:
            return names.index(task)
        if isinstance(task, (int, np.integer)) and not isinstance(task, bool) and 0 <= task < len(names):
            return int(task)
        raise ValueError(
            f"task must be one of {', '.join(names)} or its index, got {task!r}{nearest(str(task), names)}"
        )


@dataclass(frozen=True)
class OneTask:
    """The policy of one task of a run, with the interface that stable-baselines3's ``evaluate_policy`` takes."""

    policy: Policy
    task: str

    @property
    def space(self) -> TaskSpace:
        """The shapes of its observations and actions, and the bounds of its actions."""
        return self.policy.spaces[self.policy.tasks.index(self.task)]

    def predict(
        self,
        observation: npt.ArrayLike,
        state: None = None,
        episode_start: npt.ArrayLike | None = None,
        deterministic: bool = True,
    ) -> tuple[npt.NDArray[Any], None]:
        """Return what :meth:`Policy.predict` does; *state* and *episode_start*, of recurrent policies, are unused."""
        return self.policy.predict(observation, self.task, deterministic=deterministic)


def _batch(observation: npt.ArrayLike, shape: tuple[int, ...]) -> tuple[npt.NDArray[Any], bool]:
    """Return observations as (batch, *shape), and whether a single one was given."""
    try:
        rows = np.asarray(observation)
    except ValueError as error:
        raise ValueError(f"observation must be an array: {error}") from None
    single = rows.shape == shape
    if rows.dtype.kind not in "fiub":
        raise ValueError(f"observation must be real numbers, got {rows.dtype}")
    if not single and rows.shape[1:] != shape:
        text = ", ".join(map(str, shape))
        raise ValueError(f"observation must have shape ({text},) or (batch, {text}), got {rows.shape}")
    if not (np.abs(rows, dtype=np.float64) <= np.finfo(np.float32).max).all():
        raise ValueError("observation must be finite")
    return (rows[None] if single else rows), single


def load_policy(directory: Path, *, seed: int | None = None, checkpoint: Which = LATEST) -> Policy:
    """Load the policies of a run's *checkpoint*: ``latest``, ``best`` or a step; UserError if there is none."""
    return Policy(Trained.of_run(Path(directory), checkpoint), seed)
