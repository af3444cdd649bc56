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
7. An optimiser whose gradient is not finite makes no step; the losses of that update say so under ``skipped``.
8. ``mask_loss_above`` leaves diverging tasks out, as PaCo (Sun et al. 2022) does. A task's critic loss is the mean
   over its transitions, summed over both critics. Above the limit, its transitions add nothing to the gradients of
   this update; where its actor loss alone is above, nothing to those of actor and temperature. The sum over tasks is
   divided by the number of all tasks as ever: the others' gradients are what they are beside any task [O].
9. A routing that asks for a gradient gets that of the actor's loss through the actor; see
   :mod:`genoevo_mega.evolution.relaxed_codes` [O].

An update may be made in parts of the batch, each by a thread of its own; their gradients are summed in order. On CUDA
the update, and acting, are one captured graph each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from genoevo_mega.agents.cuda_graph import Captured
from genoevo_mega.agents.replay import Batch
from genoevo_mega.agents.threads import Crew
from genoevo_mega.config.sac import Sac
from genoevo_mega.networks import Routing

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
_CPU = torch.device("cpu")

Gradients = Sequence[Tensor | None]


class _Part(NamedTuple):
    """Some transitions of every task, with the noise of their next and of their present actions."""

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    discounts: Tensor
    next_noise: Tensor
    noise: Tensor
    routing: Routing


class Agent:
    """Actor with its average, twin critics with targets, temperatures, and their optimisers.

    Parameters
    ----------
    network
        Makes a network on the CPU: ``network(inputs, outputs, ensemble)``; what is asked of it stands in
        :mod:`genoevo_mega.networks`.
    observation_size, action_size, tasks
        Shapes.
    config
        The learner's settings.
    rng
        On the CPU; draws the initial weights of modules added later, and all action noise, so that runs on different
        devices see the same numbers.
    parts
        Threads that share an update.
    device
        Where networks and optimisers are; cpu or cuda.

    """

    def __init__(
        self,
        network: Callable[[int, int, int], nn.Module],
        observation_size: int,
        action_size: int,
        tasks: int,
        config: Sac,
        rng: torch.Generator,
        *,
        parts: int = 1,
        device: torch.device = _CPU,
    ) -> None:
        self.config, self.rng, self.device, self.action_size = config, rng, device, action_size
        self.actor = network(observation_size, 2 * action_size, 1).to(device)
        self.critics = network(observation_size + action_size, 1, 2).to(device)
        self.targets = network(observation_size + action_size, 1, 2).to(device).requires_grad_(False)
        self.targets.load_state_dict(self.critics.state_dict())
        self.averaged = network(observation_size, 2 * action_size, 1).to(device).requires_grad_(False)
        self.averaged.load_state_dict(self.actor.state_dict())
        first = torch.full((tasks,), math.log(config.initial_temperature), device=device)
        self.log_temperature = nn.Parameter(first)
        self.target_entropy = -float(action_size)
        self.optimisers = {
            "actor": self._adam(self.actor.parameters()),
            "critics": self._adam(self.critics.parameters()),
            "temperature": self._adam([self.log_temperature]),
        }
        self.updates = 0
        self.parts = parts
        self._crew = Crew(parts)
        self._run_act: Callable[..., dict[str, Tensor]] = self._act
        self._run_update: Callable[..., dict[str, Tensor]] = self._update
        if device.type == "cuda":
            self._run_act, self._run_update = Captured(self._act), Captured(self._update)

    def _adam(self, parameters: object) -> torch.optim.Adam:
        capturable = self.device.type == "cuda"
        rate = self.config.learning_rate
        return torch.optim.Adam(parameters, lr=rate, fused=True, capturable=capturable)  # type: ignore[arg-type]

    def _here(self, tensor: Tensor) -> Tensor:
        if tensor.device == self.device:
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _noise(self, *shape: int) -> Tensor:
        return self._here(torch.randn(shape, generator=self.rng))

    @torch.no_grad()
    def act(self, observations: Tensor, routing: Routing, *, greedy: bool = False) -> Tensor:
        """Actions (tasks, action_size) in [-1, 1] for one observation (tasks, observation_size) of each task.

        Both are on the CPU.
        """
        stages, *tensors = routing.stages, *map(self._here, (observations[:, None], routing.inputs, routing.output))
        if greedy:
            actions = self._act_greedily(stages, *tensors)
        else:
            actions = self._run_act(stages, *tensors, self._noise(len(observations), 1, self.action_size))
        return actions["actions"][:, 0].cpu()

    def _act(
        self, stages: tuple[int, ...], observations: Tensor, inputs: Tensor, output: Tensor, noise: Tensor
    ) -> dict[str, Tensor]:
        mean, log_std = self._policy(observations, Routing(inputs, output, stages))
        return {"actions": torch.tanh(mean + log_std.exp() * noise)}

    def _act_greedily(
        self, stages: tuple[int, ...], observations: Tensor, inputs: Tensor, output: Tensor
    ) -> dict[str, Tensor]:
        mean, _ = self.averaged(observations, Routing(inputs, output, stages))[0].chunk(2, dim=-1)
        return {"actions": torch.tanh(mean)}

    def update(self, batch: Batch, routing: Routing) -> dict[str, Tensor]:
        """One gradient step of critics, actor and temperatures, then of the targets; losses as 0-d tensors.

        ``skipped`` among them is 1 where a gradient was not finite and its step was therefore left out, else 0;
        ``masked`` (tasks,), under ``mask_loss_above``, is 1 for tasks that were left out. Where *routing* asks for a
        gradient, that of the actor's loss is added to whatever its weights are made of.
        """
        self.updates += 1
        noise = self._noise(2, *batch.actions.shape)
        asked = routing.output.requires_grad
        weights = self._here(routing.inputs.detach()), self._here(routing.output.detach())
        found = self._run_update((routing.stages, asked), *map(self._here, batch[:5]), *noise, *weights)
        if asked:
            gradients = [found.pop(name).cpu() for name in ("of_inputs", "of_output")]
            torch.autograd.backward([routing.inputs, routing.output], gradients)
        return found

    def _update(self, key: tuple[tuple[int, ...], bool], *tensors: Tensor) -> dict[str, Tensor]:
        (stages, asked), (*transitions, inputs, output) = key, tensors
        parts = self._split(transitions, Routing(inputs, output, stages))
        count = transitions[2].numel()
        temperature = self.log_temperature.detach().exp()[:, None]
        critic_weights, actor_weights = list(self.critics.parameters()), list(self.actor.parameters())

        def critics(kept: Tensor | None, predicted: Tensor, goal: Tensor) -> tuple[Gradients, Tensor, Tensor]:
            loss = _only(kept, predicted - goal).square().sum() / count
            gradients = torch.autograd.grad(loss, critic_weights, allow_unused=True)
            return gradients, loss.detach(), predicted.detach().sum()

        def policy(part: _Part) -> tuple[Tensor, Tensor, Routing]:
            own = _leaves(part.routing) if asked else part.routing
            return *self._actor_losses(part, temperature, own), own

        def actor(
            kept: Tensor | None, losses: Tensor, log_prob: Tensor, own: Routing
        ) -> tuple[Gradients, Tensor, Tensor]:
            loss = _only(kept, losses).sum() / count
            weights = [*actor_weights, *own[:2]] if asked else actor_weights
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
            return gradients, loss.detach(), log_prob.detach().sum(1)

        kept, results = self._run_parts(parts, lambda part: self._values(part, temperature), _critic_losses, critics)
        gradients, critic_losses, predicted = zip(*results, strict=True)
        critic_norm = self._descend("critics", critic_weights, _summed(gradients))
        with _frozen(self.critics):
            kept, results = self._run_parts(parts, policy, lambda losses, *_: losses.detach().sum(1), actor, kept)
        gradients, actor_losses, log_probs = zip(*results, strict=True)
        of_actor = _summed(gradients)
        actor_norm = self._descend("actor", actor_weights, of_actor[: len(actor_weights)])
        log_prob = sum(log_probs) / (count // len(stages))
        of_temperature = _only(kept, -(log_prob + self.target_entropy)[:, None])[:, 0]
        temperature_norm = self._descend("temperature", [self.log_temperature], [of_temperature])
        self._follow(self.targets, self.critics, self.config.tau)
        self._follow(self.averaged, self.actor, self.config.actor_ema_tau)
        return {
            "critic_loss": sum(critic_losses),
            "actor_loss": sum(actor_losses),
            "critic_gradient": critic_norm,
            "actor_gradient": actor_norm,
            "value": sum(predicted) / (2 * count),
            "entropy": -log_prob.mean(),
            "skipped": 1.0 - torch.isfinite(critic_norm + actor_norm + temperature_norm).float(),
            **({} if kept is None else {"masked": 1.0 - kept.float()}),
            **(dict(zip(("of_inputs", "of_output"), of_actor[-2:], strict=True)) if asked else {}),
        }

    def _run_parts(
        self,
        parts: list[_Part],
        forward: Callable[[_Part], tuple[Any, ...]],
        losses: Callable[..., Tensor],
        backward: Callable[..., tuple[Gradients, Tensor, Tensor]],
        kept: Tensor | None = None,
    ) -> tuple[Tensor | None, list[tuple[Gradients, Tensor, Tensor]]]:
        """Each part forward and back; with a limit to losses, first all of them forward, to see whose loss is above.

        *losses* sums those of each task in a part, (tasks,). *kept*, in and out, (tasks,) bool: tasks that are not
        left out, None where none ever is.
        """
        limit = self.config.mask_loss_above
        if limit is None:
            return None, self._crew(lambda part: backward(None, *forward(part)), parts)
        passed = self._crew(forward, parts)
        total = torch.stack([losses(*each) for each in passed]).sum(0)
        below = total / sum(part.rewards.shape[1] for part in parts) <= limit
        kept = below if kept is None else kept & below
        return kept, self._crew(lambda each: backward(kept, *each), passed)

    def _values(self, part: _Part, temperature: Tensor) -> tuple[Tensor, Tensor]:
        """The critics' predictions (2, tasks, batch), and what they should be (tasks, batch)."""
        with torch.no_grad():
            action, log_prob = self._sample(part.next_observations, part.routing, part.next_noise)
            value = self._value(self.targets, part.next_observations, action, part.routing).amin(0)
            value = value - temperature * log_prob
            goal = self.config.reward_scale * part.rewards + part.discounts * value
        return self._value(self.critics, part.observations, part.actions, part.routing), goal

    def _actor_losses(self, part: _Part, temperature: Tensor, routing: Routing) -> tuple[Tensor, Tensor]:
        """The actor's losses and its log probabilities, (tasks, batch) each; *routing* is the actor's own."""
        action, log_prob = self._sample(part.observations, routing, part.noise)
        value = self._value(self.critics, part.observations, action, part.routing).amin(0)
        return temperature * log_prob - value, log_prob

    def task_losses(self, batch: Batch, routing: Routing) -> tuple[Tensor, Tensor]:
        """Losses of critics and actor task by task, (tasks,) each, with their graphs; nothing is drawn or changed.

        They are those of an update with this batch that follows at once: the noise is the same.
        """
        rng = torch.Generator()
        rng.set_state(self.rng.get_state())
        noise = self._here(torch.randn(2, *batch.actions.shape, generator=rng))
        inputs, output = (self._here(weights.detach()) for weights in routing[:2])
        weights = Routing(inputs, output, routing.stages)
        part = _Part(*map(self._here, batch[:5]), *noise, weights)
        temperature = self.log_temperature.detach().exp()[:, None]
        predicted, goal = self._values(part, temperature)
        return (predicted - goal).square().mean(2).sum(0), self._actor_losses(part, temperature, weights)[0].mean(1)

    def _split(self, transitions: list[Tensor], routing: Routing) -> list[_Part]:
        parts = self.parts
        weights = [routing.inputs, routing.output]
        of_weights = zip(*(weight.chunk(parts, dim=1) for weight in weights), strict=True)
        # One genotype for all transitions of a task (B = 1), or one for each.
        routings = (
            [Routing(*some, routing.stages) for some in of_weights]
            if routing.output.shape[1] > 1
            else [routing] * parts
        )
        chunks = zip(*(tensor.chunk(parts, dim=1) for tensor in transitions), strict=True)
        return [_Part(*some, of_part) for some, of_part in zip(chunks, routings, strict=True)]

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
            network.grow(self.rng)
            network.to(self.device)
            self.optimisers[name].add_param_group({"params": list(network.pool[-1].parameters())})
            # What follows a new module starts as the module itself; its own draw is overwritten.
            follower.grow(self.rng)
            follower.to(self.device).requires_grad_(False)
            follower.pool[-1].load_state_dict(network.pool[-1].state_dict())

    def _policy(self, observations: Tensor, routing: Routing) -> tuple[Tensor, Tensor]:
        mean, log_std = self.actor(observations, routing)[0].chunk(2, dim=-1)
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)

    def _sample(self, observations: Tensor, routing: Routing, noise: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self._policy(observations, routing)
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

    def _descend(self, name: str, weights: list[nn.Parameter], gradients: Gradients) -> Tensor:
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        norm = nn.utils.clip_grad_norm_(weights, self.config.gradient_clip if name != "temperature" else math.inf)
        optimiser = self.optimisers[name]
        # What a gradient scaler would tell the fused step: with 1 it leaves everything as it is.
        optimiser.found_inf = 1.0 - torch.isfinite(norm).float()
        optimiser.step()
        return norm


def _summed(of_parts: Sequence[Gradients]) -> Gradients:
    """The gradients of all parts together, added in order to those of the first; None stays None."""
    total, *others = of_parts
    for part in others:
        for own, other in zip(total, part, strict=True):
            if own is not None:
                own += other
    return total


def _only(kept: Tensor | None, x: Tensor) -> Tensor:
    """*x* (..., tasks, n) with zeros, also for gradients, in place of tasks that are not *kept* (tasks,)."""
    return x if kept is None else torch.where(kept[:, None], x, 0)


def _critic_losses(predicted: Tensor, goal: Tensor) -> Tensor:
    return (predicted.detach() - goal).square().sum((0, 2))


def _leaves(routing: Routing) -> Routing:
    """The same weights, which ask for a gradient of their own."""
    inputs, output = (weights.detach().requires_grad_() for weights in routing[:2])
    return Routing(inputs, output, routing.stages)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    # The actor's loss runs through the critics without gradients of their own.
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
