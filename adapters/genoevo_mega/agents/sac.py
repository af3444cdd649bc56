"""Soft actor-critic over many tasks at once (Haarnoja et al. 2018), agnostic of the network.

``SacAgent._gradient_step`` is the algorithm, to be read from top to bottom; its losses are in
:mod:`genoevo_mega.agents.losses`. Departures and choices:

1. One temperature per task, target entropy minus the number of action dimensions by default (as MTSAC). If a task's
   dynamics ignore some dimensions, their entropy rises to its largest value, and the other dimensions give up as much
   to meet the target. With ``count_used_actions`` the target of such a task is that of its used dimensions, plus that
   largest value for each other one [O].
2. Values are bootstrapped through time limits: ``terminated`` alone cuts them, Meta-World never sets it.
3. Actor and critics are clipped to a gradient norm each [O]. With ``weight_decay`` Adam is AdamW [O].
4. Greedy episodes use a moving average of the actor (Polyak and Juditsky 1992), itself by default [O].
5. Rewards may be scaled and summed over several steps before the bootstrapped value (Sutton 1988), without the
   entropy of the steps between [O].
6. Actor and critics, online and target, have a genotype's weights each; the trainer gives both the same [O]. Critics
   of another network than the actor's may read none (:mod:`genoevo_mega.networks.residual`). What critics predict is
   in :mod:`genoevo_mega.agents.value`, their task vectors in :mod:`genoevo_mega.networks.embedding`, the scale of
   observations and rewards in :mod:`genoevo_mega.agents.normalisation` [O].
7. An optimizer whose gradient is not finite makes no step. The metrics of that update have ``skipped`` = 1.
8. ``mask_loss_above`` leaves diverging tasks out, as PaCo (Sun et al. 2022) does. A task's critic loss is the mean
   over its transitions, summed over both critics. If it is above the limit, the task adds nothing to the gradients of
   this update; if its actor loss alone is above, nothing to those of actor and temperature. The sum over tasks is
   divided by the number of all tasks: the other tasks' gradients do not depend on who is left out [O].
9. With ``simultaneous`` the actor follows the critics as they were before this update [O].
10. If the weights of the actor's routing require grad, the actor's loss is differentiated with respect to them,
    through the actor only; see :mod:`genoevo_mega.evolution.relaxed_codes` [O].

On a CPU threads can share an update. On CUDA the update and acting are one captured graph each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from genoevo_mega.agents import gradient_conflict, losses
from genoevo_mega.agents.arithmetic import BY_TORCH, by_kernels
from genoevo_mega.agents.compiled import compiled_prediction
from genoevo_mega.agents.cuda_graph import Captured
from genoevo_mega.agents.distribution import MOST_ENTROPY, draw_action, mean_action
from genoevo_mega.agents.executor import Executor, Gradients
from genoevo_mega.agents.losses import Networks, Terms, Weights, mask_tasks, q_values, temperature_loss
from genoevo_mega.agents.module_pool import module_pools
from genoevo_mega.agents.normalisation import Normaliser
from genoevo_mega.agents.operations import per_transition
from genoevo_mega.agents.optimizers import Optimizers, frozen
from genoevo_mega.agents.replay import Batch
from genoevo_mega.agents.step import ActInputs, StepInputs, StepResult, step_inputs
from genoevo_mega.agents.value import SQUARED, Prediction
from genoevo_mega.config.sac import Sac
from genoevo_mega.networks import Routing

_CPU = torch.device("cpu")


class SacAgent:
    """Actor with its moving average, twin critics with targets, temperatures, and their optimizers.

    Parameters
    ----------
    network
        Makes the actor on the CPU: ``network(inputs, outputs, ensemble)``, as :mod:`genoevo_mega.networks` describes
        it.
    observation_size, action_size, tasks
        Shapes.
    config
        The learner's settings.
    rng
        On the CPU; draws the initial weights of modules added later, and all action noise, so that runs on different
        devices see the same numbers.
    critic_network
        Makes the critics likewise; None if *network* makes them too.
    prediction
        The meaning of the critics' outputs.
    normaliser
        The scale of observations and rewards; None to leave them as they are.
    used_actions
        Action dimensions of each task whose entropy counts towards the target; None for all.
    threads
        Threads that share an update.
    device
        Where networks and optimizers are; cpu or cuda.

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
        critic_network: Callable[[int, int, int], nn.Module] | None = None,
        prediction: Prediction = SQUARED,
        normaliser: Normaliser | None = None,
        used_actions: Sequence[int] | None = None,
        threads: int = 1,
        device: torch.device = _CPU,
    ) -> None:
        self.config, self.rng, self.device, self.action_size = config, rng, device, action_size
        self.prediction, self.normaliser = prediction, normaliser or Normaliser()
        self._bounds = config.log_std_min, config.log_std_max
        self.actor = network(observation_size, 2 * action_size, 1).to(device)
        of_critics = critic_network or network
        shape = observation_size + action_size, prediction.outputs, 2
        self.critics = of_critics(*shape).to(device)
        self.target_critics = of_critics(*shape).to(device).requires_grad_(False)
        self.target_critics.load_state_dict(self.critics.state_dict())
        self.actor_ema = network(observation_size, 2 * action_size, 1).to(device).requires_grad_(False)
        self.actor_ema.load_state_dict(self.actor.state_dict())
        self.log_temperature = nn.Parameter(torch.full((tasks,), math.log(config.initial_temperature), device=device))
        used = torch.tensor(used_actions or [action_size] * tasks, device=device)
        self.target_entropy = config.target_entropy * used + MOST_ENTROPY * (action_size - used)
        self._weights = Weights.of(self.nets)
        self.optimizers = Optimizers.of(self.actor, self.critics, self.log_temperature, config)
        self.updates, self.arithmetic, self.threads = 0, BY_TORCH, threads
        self.executor = Executor(threads, config.mask_loss_above)
        capture: Callable[[Any], Any] = Captured if device.type == "cuda" else lambda function: function
        self._step: Callable[[StepInputs], StepResult] = capture(self._gradient_step)
        self._act: Callable[[ActInputs], Tensor] = capture(self._draw_actions)

    def update(self, batch: Batch, actor_routing: Routing, critic_routing: Routing) -> dict[str, Tensor]:
        """Make one gradient step of critics, actor and temperatures, and of the moving averages.

        Returns metrics as 0-d tensors. ``skipped`` is 1 if a gradient was not finite and its step was left out,
        else 0. ``masked`` (tasks,), only with ``mask_loss_above``, is 1 for tasks that were left out. If the weights
        of *actor_routing* require grad, the gradient of the actor's loss is added to whatever they are made of.
        """
        self.updates += 1
        result = self._step(self._inputs(batch, self._noise(2, *batch.actions.shape), actor_routing, critic_routing))
        actor_routing.backward(result.routing_gradients)
        return result.metrics

    def _gradient_step(self, step: StepInputs) -> StepResult:
        nets, weights, terms = self.nets, self._weights, self._terms()
        critics_directly, actor_directly = self.arithmetic.direct(nets, step, terms, self.executor.limit)
        at_once = self.config.simultaneous and critics_directly is not None
        shards = self.executor.split(*step, at_once=1 + at_once)
        critic_loss, actor_loss = (partial(f, nets, terms=terms) for f in (losses.critic_loss, losses.actor_loss))

        # 1. Critics, then their targets
        def of_critics(meanwhile: Callable[[], None] | None = None) -> Gradients:
            directly = critics_directly and partial(critics_directly, meanwhile=meanwhile)
            return self.executor.value_and_grad(critic_loss, shards, weights.critics, direct=directly)

        def move_critics(found: Gradients) -> Tensor:
            norm = self.optimizers.critics.apply_gradients(weights.critics, found.gradients)
            self.arithmetic.polyak_update(weights.target_critics, weights.critics, self.config.tau)
            return norm

        # 2. Actor, on the tasks whose critic loss is not above the limit, then its average
        def of_actor(active: Tensor | None = None) -> Gradients:
            wanted = weights.actor + step.actor_routing.trainable()
            with frozen(nets.critics) if actor_directly is None else nullcontext():
                return self.executor.value_and_grad(actor_loss, shards, wanted, active, actor_directly)

        def move_actor(found: Gradients) -> Tensor:
            norm = self.optimizers.actor.apply_gradients(weights.actor, found.gradients[: len(weights.actor)])
            self.arithmetic.polyak_update(weights.actor_ema, weights.actor, self.config.actor_ema_tau)
            return norm

        if self.config.simultaneous:
            critics, actor = self.executor.pool.meanwhile(of_critics, of_actor)
            critic_norm, actor_norm = move_critics(critics), move_actor(actor)
        else:
            critics = of_critics()
            critic_norm = move_critics(critics)
            actor = of_actor(critics.active)
            actor_norm = move_actor(actor)

        # 3. Temperatures, on the tasks whose actor loss is not above the limit either
        log_prob = actor.info["log_prob"] / step.batch.rewards.shape[1]
        of_temperature = temperature_loss(1.0, log_prob, self.target_entropy)  # the derivative, not the loss
        of_temperature = mask_tasks(actor.active, of_temperature[:, None])[:, 0]
        temperature_norm = self.optimizers.temperature.apply_gradients([self.log_temperature], [of_temperature])

        metrics = {
            "critic_loss": critics.loss,
            "actor_loss": actor.loss,
            "critic_gradient": critic_norm,
            "actor_gradient": actor_norm,
            "value": critics.info["value"] / (2 * step.batch.rewards.numel()),
            "entropy": -log_prob.mean(),
            "skipped": 1.0 - torch.isfinite(critic_norm + actor_norm + temperature_norm).float(),
        }
        if actor.active is not None:
            metrics["masked"] = 1.0 - actor.active.float()
        return StepResult(metrics, actor.gradients[len(weights.actor) :])

    @property
    def nets(self) -> Networks:
        """The networks, as the losses take them."""
        return Networks(self.actor, self.critics, self.target_critics, self.actor_ema)

    def _terms(self) -> Terms:
        alpha, scale = self.log_temperature.detach().exp()[:, None], self.config.reward_scale
        scale = scale * self.normaliser.reward_scale(alpha, self.target_entropy)
        return Terms(alpha, scale, self._bounds, self.prediction, self.arithmetic.draw)

    def _observations(self, rows: Tensor) -> Tensor:
        """Return observations (tasks, n, observation_size) as the networks see them, on the device."""
        return self.normaliser.observations(self.to_device(rows))

    def _inputs(self, batch: Batch, noise: Tensor, actor_routing: Routing, critic_routing: Routing) -> StepInputs:
        """Return what a gradient step takes; *noise* (2, tasks, batch, action_size) is on the device already."""
        seen, following = (self._observations(rows) for rows in (batch.observations, batch.next_observations))
        batch = batch._replace(observations=seen, next_observations=following)
        return step_inputs(batch, noise, actor_routing, critic_routing, self.to_device)

    @torch.no_grad()
    def act(self, observations: Tensor, routing: Routing, *, greedy: bool = False) -> Tensor:
        """Return actions (tasks, action_size) in [-1, 1] for one observation (tasks, observation_size) of each task.

        Both are on the CPU. Greedy actions draw no noise and are those of the actor's moving average.
        """
        if greedy:
            return self.greedy_actions(observations[:, None], routing)[:, 0]
        rows, weights = self._observations(observations[:, None]), routing.map(self.to_device)
        actions = self._act(ActInputs(rows, weights, self._noise(len(observations), 1, self.action_size)))
        return actions[:, 0].cpu()

    @torch.no_grad()
    def greedy_actions(self, observations: Tensor, routing: Routing) -> Tensor:
        """Return the moving average's actions (tasks, n, action_size) for (tasks, n, observation_size)."""
        rows, weights = self._observations(observations), routing.map(self.to_device)
        return mean_action(self.nets.policy(rows, weights, averaged=True)).cpu()

    def _draw_actions(self, inputs: ActInputs) -> Tensor:
        return draw_action(self.nets.policy(inputs.observations, inputs.routing), inputs.noise, self._bounds)

    @torch.no_grad()
    def values(self, observations: Tensor, actor_routing: Routing, critic_routing: Routing) -> Tensor:
        """Return the critics' joined values of the actor's greedy actions, (tasks, n) float32 on the CPU.

        *observations* are (tasks, n, observation_size) float32. A routing has one genotype for each task, or
        several for as many consecutive rows each. Nothing is drawn or changed. The actions are the actor's own, not
        its moving average's: the critics learn the values of the former.
        """
        rows = self._observations(observations)
        of_actor, of_critics = (routing.detached().map(self.to_device) for routing in (actor_routing, critic_routing))
        actions = mean_action(self.nets.policy(rows, of_actor))
        return self.prediction.joined(q_values(self.critics, rows, actions, of_critics, self.prediction)).cpu()

    def gradient_cosines(self, batch: Batch, actor_routing: Routing, critic_routing: Routing) -> dict[str, Tensor]:
        """Return the cosines (tasks, tasks) between tasks' gradients, for ``critics`` and ``actor``.

        Nothing is drawn or changed. The losses are those of an update with this batch that follows at once.
        """
        rng = torch.Generator()
        rng.set_state(self.rng.get_state())
        noise = self.to_device(torch.randn(2, *batch.actions.shape, generator=rng))
        step = self._inputs(batch, noise, actor_routing.detached(), critic_routing)
        return gradient_conflict.measure(self.nets, *step, self._terms())

    def operations(self, stages: tuple[int, ...], of_critics: tuple[int, ...] | None = None) -> float:
        """Return the floating-point operations of the matrix products of one update.

        *stages* are the modules that each task uses, *of_critics* those in the critics; None means the same.
        """
        return self.config.batch_size * per_transition(self.actor, self.critics, stages, of_critics or stages)

    def use_kernels(self) -> None:
        """Compute by compiled functions whatever they can; :mod:`genoevo_mega.kernels` must be available."""
        self.arithmetic = by_kernels(self.nets, self.optimizers)
        self.prediction = compiled_prediction(self.prediction)

    def grow(self) -> None:
        """Add a module to actor, critics and their averages, as far as they are modular; all else is kept."""
        for pool in module_pools(self.nets, self.optimizers):
            pool.grow(self.rng, self.device)
        self._weights = Weights.of(self.nets)

    def shrink(self) -> None:
        """Remove the last module of actor, critics and their averages, and its optimizer state: undo :meth:`grow`.

        No routing may use that module any longer.
        """
        for pool in module_pools(self.nets, self.optimizers):
            pool.shrink()
        self._weights = Weights.of(self.nets)
        for captured in (self._step, self._act):
            if isinstance(captured, Captured):
                captured.forget()

    def to_device(self, tensor: Tensor) -> Tensor:
        """Return *tensor* on the agent's device; nothing waits for the copy."""
        if tensor.device.type == self.device.type:  # tensors on "cuda" say "cuda:0"
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _noise(self, *shape: int) -> Tensor:
        return self.to_device(torch.randn(shape, generator=self.rng))
