"""Settings of the learner."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from genoevo_runs.settings import Count, Fraction, Settings


class Sac(Settings):
    """The learner, soft actor-critic [O].

    The defaults are the values that MEGA's closest relatives publish, or leave the algorithm as
    published.
    """

    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Arithmetic of the networks. ``tf32`` needs a GPU. ``bf16`` is faster on a GPU and on a CPU
    with AMX or AVX512-BF16, and slower on other CPUs. Weights and losses stay fp32, and
    results are compared in fp32."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    """Learning rate of Adam, for actor, critics and temperatures."""
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the weights of actor and critics, times the learning rate, that each update takes away
    (AdamW, Loshchilov and Hutter 2019); 0 for Adam."""
    batch_size: Count = 128
    """Transitions per task in an update."""
    buffer_size: Count = 1_000_000
    """Transitions that the replay buffer holds, of all tasks together."""
    gamma: Fraction = 0.99
    """Discount of rewards per environment step."""
    reward_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the rewards that the learner sees. Reported returns are not scaled."""
    n_step: Count = 1
    """Steps of reward before the bootstrapped value. More steps propagate a reward faster, at the
    price of off-policy bias."""
    tau: Fraction = 0.005
    """Share of the critics' weights that moves into their targets at each update."""
    actor_ema_tau: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the actor's weights that moves, at each update, into the moving average that acts in
    greedy episodes. With 1 the average is the actor itself."""
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest gradient norm, of the actor and of the critics. Larger gradients are scaled down."""
    mask_loss_above: Annotated[float, Field(gt=0)] | None = None
    """Limit on a task's critic and actor loss. A task above it, or whose loss is not a number, is
    left out of the update (``genoevo_mega.agents.sac``); null for no limit. If the networks' own
    numbers overflow, the complete update is skipped."""
    max_skipped: Count = 10
    """Updates in one round that may make no step because their gradient is not finite. This many end
    the run."""
    updates_per_step: Annotated[float, Field(ge=0)] = 1.0
    """Updates per vector step, which is one step of every task. Below 1 there is one update every
    few vector steps."""
    simultaneous: bool = False
    """Whether the actor follows the critics as they were before the update, not those just updated. Two
    threads then compute a loss each, with compiled functions, if the critics are ``residual`` or have
    residual modules, in fp32 and with one genotype of each task. Not with ``mask_loss_above``."""
    random_steps: Annotated[int, Field(ge=0)] = 400
    """Steps of each task with uniform random actions, before learning starts."""
    random_action_repeat: Count = 1
    """Steps for which each random action is repeated. Repeated actions reach further (Dabney et al.
    2021)."""
    initial_temperature: Annotated[float, Field(gt=0)] = 1.0
    """Temperature of every task at the start: the weight of entropy against return."""
    target_entropy: Annotated[float, Field(lt=0.68)] = -1.0
    """Entropy that each task's temperature aims at, per action dimension, in nats. A dimension has at
    most 0.68."""
    count_used_actions: bool = False
    """Whether a task's target entropy counts only the action dimensions that the task uses, if the
    suite says how many. Each other dimension then adds its largest entropy, which it reaches without
    effect on the task."""
    log_std_min: Annotated[float, Field(ge=-100, lt=2)] = -20.0
    """Least logarithm of the actor's standard deviation."""
    log_std_max: Annotated[float, Field(gt=-20, le=20)] = 2.0
    """Largest logarithm of the actor's standard deviation, above ``log_std_min``."""
    conflict_every: Annotated[int, Field(ge=0)] = 0
    """Updates between two measurements of the cosine between the tasks' gradients, which take a
    backward pass per task; 0 for none."""
