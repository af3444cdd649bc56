"""Settings of the learner."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from genoevo_runs.settings import Count, Fraction, Settings


class Sac(Settings):
    """The learner; values are those that MEGA's closest relatives publish [O]."""

    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Of the networks' arithmetic: tf32 is a GPU's; bf16 is faster on a GPU and on a CPU with AMX or AVX512-BF16,
    slower on others. Weights and losses stay fp32; results are compared in fp32."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    batch_size: Count = 128
    """Transitions per task and update."""
    buffer_size: Count = 1_000_000
    """Transitions of all tasks together."""
    gamma: Fraction = 0.99
    reward_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on rewards for the learner alone; reported returns are not scaled [O]."""
    n_step: Count = 1
    """Steps of reward before the bootstrapped value: more carry a reward back faster, at the price of off-policy
    bias [O]."""
    tau: Fraction = 0.005
    """Share of the critics that moves into their targets at each update."""
    actor_ema_tau: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the actor that moves at each update into the averaged one that greedy episodes use; 1 is the actor
    itself [O]."""
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest gradient norm of the actor and of the critics."""
    mask_loss_above: Annotated[float, Field(gt=0)] | None = None
    """A task whose critic or actor loss exceeds this, or is no number, is left out of that update; null for none
    (:mod:`genoevo_mega.agents.sac`) [O]. Where the networks' own numbers overflow, the whole update is skipped."""
    max_skipped: Count = 10
    """Updates whose gradient is not finite and that therefore make no step: so many in one round stop the run."""
    updates_per_step: Annotated[float, Field(ge=0)] = 1.0
    """Updates per vector step, a step of all tasks together; below 1, one in several steps."""
    random_steps: Annotated[int, Field(ge=0)] = 400
    """Steps of each task with uniform random actions before learning starts."""
    random_action_repeat: Count = 1
    """Steps that each random action is held: held actions reach further (Dabney et al. 2021) [O]."""
    initial_temperature: Annotated[float, Field(gt=0)] = 1.0
    conflict_every: Annotated[int, Field(ge=0)] = 0
    """Updates between measurements of the cosine between tasks' gradients, each a backward pass for every task; 0
    for none."""
