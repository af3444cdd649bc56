"""Settings of episodes and evaluation, and of how a run is carried out."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genoevo_runs.settings import Count, Settings

MOST_LAG = 8
"""The largest ``schedule.action_lag``."""


class Environment(Settings):
    """The simulated episodes."""

    episode_length: Count = 200
    """Steps per episode [P]. Meta-World truncates at 500, so its tasks allow at most that."""
    reward_version: Literal["v1", "v2"] = "v2"
    """Version of Meta-World's reward functions. Rewards of v1 differ by orders of magnitude between
    tasks [O]."""
    goals: Count = 50
    """Training goals per task; 50 is Meta-World's own number. Evaluation draws other goals, a new one
    for each episode [O]."""
    change_at: Count | None = None
    """Environment steps of all tasks together after which tasks whose names end with ``-change`` are
    reversed. Suites with such a task need it, others refuse it [O]."""


class Evaluation(Settings):
    """Greedy episodes on goals that training never sees [O]."""

    episodes: Count = 20
    """Episodes per task."""
    every: Annotated[int, Field(ge=0)] = 0
    """Environment steps of all tasks between evaluations during training; 0 for none."""
    at_end: bool = True
    """Whether a run is evaluated when it ends."""


class Compute(Settings):
    """The hardware that a run uses [O]. The last bits of results depend on device, threads, shards, kernels."""

    compared: ClassVar = False
    device: Literal["cpu", "cuda"] = "cpu"
    """Device of the networks, and of the replay buffer if it fits."""
    workers: Count = 1
    """Rollout workers. The command line takes one per core of this machine unless told otherwise."""
    rollouts: Literal["local", "ray"] = "local"
    """Where the rollout workers run: processes of this machine, or actors of a Ray cluster, spread
    over its nodes, with a core each. The number of workers being equal, the results are the same bits
    if all machines have processors of one kind."""
    threads: Count = 1
    """Threads of the learner. The command line takes one per core unless told otherwise."""
    smallest_shard: Count = 32
    """Least number of transitions per task in the part of an update's batch that one thread computes. If
    the batch is too small for all threads, some are left to torch's operations."""
    kernels: Literal["torch", "compiled"] = "torch"
    """What computes residual critics and residual modules on a CPU in fp32: torch's operations, or functions
    that a C compiler makes of ``genoevo_mega/kernels`` when they are first needed. Updates of
    small networks take a quarter to two thirds of the time, and numbers agree within rounding. ``mega
    train`` takes ``compiled`` if it can, unless told otherwise."""


class Schedule(Settings):
    """How simulation and learning overlap, and how long a run may take [O]."""

    compared: ClassVar = False
    update_lag: Annotated[int, Field(ge=0, le=16)] = 1
    """Vector steps that an update's data are behind. With 0, updates follow each step. With 1 or
    more, they are made while the next step is simulated, whose actions do not know of them yet.
    Every lag is as reproducible as strict alternation."""
    action_lag: Annotated[int, Field(ge=0, le=MOST_LAG)] = 0
    """Vector steps that are under way beyond the present one. With L, the action of a step is chosen
    from the observation of L steps before, so that simulators need not wait for messages, acting and
    learning. After each episode a task misses L vector steps, which count as steps. Evaluation acts
    without a lag. Every lag is reproducible; a change at resume changes the bits from there on."""
    double_buffering: bool = False
    """Whether one half of the tasks steps while the actions of the other half are computed. It pays
    if acting takes longer than a message to the workers and there are cores to spare."""
    time_limit_minutes: Annotated[float, Field(gt=0)] | None = None
    """Time budget in minutes. Training that takes longer ends as if it had reached its steps, and can
    be resumed; null for no limit."""


class Checkpoints(Settings):
    """When a run is saved, and what is kept [O]."""

    compared: ClassVar = False
    every: Annotated[int, Field(ge=0)] = 500_000
    """Environment steps of all tasks between checkpoints; 0 for one at the end only."""
    keep: Count = 2
    """Newest checkpoints that are kept, beside the one of the best policy."""
    at_best: bool = True
    """Whether an evaluation that succeeds more than all before is followed by a checkpoint, unless
    ``every`` is 0. Otherwise only policies at a step of ``every`` can be kept as the best."""


class Faults(Settings):
    """Which faults of rollout workers a run survives [O]."""

    compared: ClassVar = False
    worker_timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds that a rollout worker may take for one answer. After that it is replaced and its
    episodes are discarded."""
    limit: Count = 10
    """Faults of one task that end the run: its worker died or hung, or its simulator failed."""
