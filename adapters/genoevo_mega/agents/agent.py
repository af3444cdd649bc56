"""The interface of an agent, as the training loop uses it."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from genoevo_mega.agents.normalisation import Normaliser
from genoevo_mega.agents.replay import Batch
from genoevo_mega.networks import Routing


class Agent(Protocol):
    """A learner of all tasks at once; :class:`~genoevo_mega.agents.sac.SacAgent` is one.

    Attributes
    ----------
    updates
        Gradient steps so far.
    device
        The device that computes updates.
    normaliser
        Counts the transitions of every vector step.

    """

    updates: int
    threads: int
    device: torch.device
    normaliser: Normaliser

    @property
    def actor(self) -> Any:
        """The network that acts; see :mod:`genoevo_mega.networks`."""

    @property
    def log_temperature(self) -> Tensor:
        """The logarithm of each task's temperature, (tasks,)."""

    def act(self, observations: Tensor, routing: Routing, *, greedy: bool = False) -> Tensor:
        """Return actions (tasks, action_size) in [-1, 1] for one observation (tasks, observation_size) of each task.

        Both are float32 on the CPU.
        """

    def update(self, batch: Batch, actor_routing: Routing, critic_routing: Routing) -> dict[str, Tensor]:
        """Make one update and return its metrics, 0-d but for ``masked`` (tasks,).

        ``skipped`` is among them: 1 if a gradient was not finite and the step was left out, else 0. If the weights of
        *actor_routing* require grad, the gradient of the actor's loss is added to whatever they are made of.
        """

    def gradient_cosines(self, batch: Batch, actor_routing: Routing, critic_routing: Routing) -> dict[str, Tensor]:
        """Return the cosines (tasks, tasks) between tasks' gradients of each loss, by the network's name.

        Nothing is drawn or changed.
        """

    def operations(self, stages: tuple[int, ...], of_critics: tuple[int, ...] | None = None) -> float:
        """Return the floating-point operations of one update's matrix products.

        *stages* are the modules that each task uses, *of_critics* those in the critics; None means the same.
        """

    def grow(self) -> None:
        """Add a module to every modular network."""

    def shrink(self) -> None:
        """Remove the last module of every modular network; no routing uses it any longer."""

    def values(self, observations: Tensor, actor_routing: Routing, critic_routing: Routing) -> Tensor:
        """Return the values (tasks, n) of greedy actions for *observations* (tasks, n, observation_size).

        A routing has one genotype for each task, or several for as many consecutive rows each. Nothing is drawn or
        changed.
        """
