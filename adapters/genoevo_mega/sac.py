"""Soft actor-critic over many tasks at once (Haarnoja et al. 2018), agnostic of the network.

Departures and choices:

1. One temperature per task, target entropy -|A| each (as MTSAC).
2. Values are bootstrapped through time limits: ``terminated`` alone cuts them, Meta-World never sets it.
3. Actor and critics are clipped to a gradient norm each [O].
4. Greedy episodes use a moving average of the actor's weights (Polyak and Juditsky 1992), the actor itself by
   default [O].
5. Rewards may be scaled and summed over several steps before the bootstrapped value (Sutton 1988), without the
   entropy of the steps between [O].
6. Actor and critics, online and target, use the same genotype weights in one update [O].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from genoevo_mega.config import Sac
from genoevo_mega.networks import Routing
from genoevo_mega.replay import Batch

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0


class Agent:
    """Actor with its average, twin critics with targets, temperatures, and their optimisers.

    Parameters
    ----------
    network
        Makes a network: ``network(inputs, outputs, ensemble)``; what is asked of it stands in
        :mod:`genoevo_mega.networks`.
    observation_size, action_size, tasks
        Shapes.
    config
        The learner's settings.
    rng
        Draws the initial weights of modules added later, and all action noise.

    """

    def __init__(
        self,
        network: Callable[[int, int, int], nn.Module],
        observation_size: int,
        action_size: int,
        tasks: int,
        config: Sac,
        rng: torch.Generator,
    ) -> None:
        self.config, self.rng = config, rng
        self.actor = network(observation_size, 2 * action_size, 1)
        self.critics = network(observation_size + action_size, 1, 2)
        self.targets = network(observation_size + action_size, 1, 2).requires_grad_(False)
        self.targets.load_state_dict(self.critics.state_dict())
        self.averaged = network(observation_size, 2 * action_size, 1).requires_grad_(False)
        self.averaged.load_state_dict(self.actor.state_dict())
        self.log_temperature = nn.Parameter(torch.full((tasks,), math.log(config.initial_temperature)))
        self.target_entropy = -float(action_size)
        self.optimisers = {
            "actor": self._adam(self.actor.parameters()),
            "critics": self._adam(self.critics.parameters()),
            "temperature": self._adam([self.log_temperature]),
        }
        self.updates = 0

    def _adam(self, parameters: object) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, lr=self.config.learning_rate, fused=True)  # type: ignore[arg-type]

    @torch.no_grad()
    def act(self, observations: Tensor, routing: Routing, *, greedy: bool = False) -> Tensor:
        """Actions (tasks, action_size) in [-1, 1] for one observation (tasks, observation_size) of each task."""
        if greedy:
            mean, _ = self.averaged(observations[:, None], routing)[0].chunk(2, dim=-1)
            return torch.tanh(mean)[:, 0]
        mean, log_std = self._policy(observations[:, None], routing)
        noise = torch.randn(mean.shape, generator=self.rng)
        return torch.tanh(mean + log_std.exp() * noise)[:, 0]

    def update(self, batch: Batch, routing: Routing) -> dict[str, Tensor]:
        """One gradient step of critics, actor and temperatures, then of the targets; losses as 0-d tensors."""
        temperature = self.log_temperature.detach().exp()[:, None]

        with torch.no_grad():
            action, log_prob = self._sample(batch.next_observations, routing)
            value = self._value(self.targets, batch.next_observations, action, routing).amin(0)
            value = value - temperature * log_prob
            goal = self.config.reward_scale * batch.rewards + batch.discounts * value
        predicted = self._value(self.critics, batch.observations, batch.actions, routing)
        critic_loss = (predicted - goal).square().mean(dim=(1, 2)).sum()
        critic_norm = self._descend("critics", critic_loss, self.critics)

        action, log_prob = self._sample(batch.observations, routing)
        with _frozen(self.critics):
            value = self._value(self.critics, batch.observations, action, routing).amin(0)
        actor_loss = (temperature * log_prob - value).mean()
        actor_norm = self._descend("actor", actor_loss, self.actor)

        excess = (log_prob.detach() + self.target_entropy).mean(dim=1)
        temperature_loss = -(self.log_temperature * excess).sum()
        self.optimisers["temperature"].zero_grad()
        temperature_loss.backward()
        self.optimisers["temperature"].step()

        self._follow(self.targets, self.critics, self.config.tau)
        self._follow(self.averaged, self.actor, self.config.average)
        self.updates += 1
        return {
            "critic_loss": critic_loss.detach(),
            "actor_loss": actor_loss.detach(),
            "critic_gradient": critic_norm,
            "actor_gradient": actor_norm,
            "value": predicted.detach().mean(),
            "entropy": -log_prob.detach().mean(),
        }

    def operations(self, stages: tuple[int, ...]) -> float:
        """Floating-point operations of the matrix products of one update, for tasks of these stages."""
        actor, critics = self.actor.operations(stages), self.critics.operations(stages)
        # The actor: next actions, forward, weights' gradients. The critics: targets, forward, weights' gradients, and
        # forward and back to the action for the actor's loss. Back through all layers but the first for either loss.
        back = sum(network.operations(stages, first_layer=False) for network in (self.actor, self.critics))
        return self.config.batch_size * (3 * actor + 5 * critics + back)

    def grow(self) -> None:
        """Add a module to actor, critics and what follows them, with fresh optimiser state; all else is kept."""
        for name, network, follower in (
            ("actor", self.actor, self.averaged),
            ("critics", self.critics, self.targets),
        ):
            self.optimisers[name].add_param_group({"params": network.grow(self.rng)})
            # What follows a new module starts as the module itself; its own draw is overwritten.
            for parameter in follower.grow(self.rng):
                parameter.requires_grad_(False)
            follower.pool[-1].load_state_dict(network.pool[-1].state_dict())

    def _policy(self, observations: Tensor, routing: Routing) -> tuple[Tensor, Tensor]:
        mean, log_std = self.actor(observations, routing)[0].chunk(2, dim=-1)
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)

    def _sample(self, observations: Tensor, routing: Routing) -> tuple[Tensor, Tensor]:
        mean, log_std = self._policy(observations, routing)
        noise = torch.randn(mean.shape, generator=self.rng)
        raw = mean + log_std.exp() * noise
        gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
        # log(1 - tanh(x)^2), stable for large |x|.
        squash = 2 * (math.log(2) - raw - nn.functional.softplus(-2 * raw))
        return torch.tanh(raw), (gaussian - squash).sum(-1)

    @staticmethod
    def _value(network: nn.Module, observations: Tensor, actions: Tensor, routing: Routing) -> Tensor:
        return network(torch.cat([observations, actions], dim=-1), routing)[..., 0]

    @staticmethod
    @torch.no_grad()
    def _follow(follower: nn.Module, network: nn.Module, share: float) -> None:
        torch._foreach_lerp_(list(follower.parameters()), list(network.parameters()), share)

    def _descend(self, name: str, loss: Tensor, network: nn.Module) -> Tensor:
        parameters = list(network.parameters())
        optimiser = self.optimisers[name]
        optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, self.config.gradient_clip)
        optimiser.step()
        return norm.detach()


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    # The actor's loss runs through the critics without gradients of their own.
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
