"""Settings of episodes and evaluation, and of how a run is carried out."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genoevo_runs.settings import Count, Settings


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
    """The hardware that a run uses [O]. Results depend on device and threads in their last bits."""

    compared: ClassVar = False
    device: Literal["cpu", "cuda"] = "cpu"
    """Device of the networks, and of the replay buffer if it fits."""
    workers: Count = 1
    """Rollout processes. The command line takes one per core unless told otherwise."""
    threads: Count = 1
    """Threads of the learner. The command line takes one per core unless told otherwise."""


class Schedule(Settings):
    """How simulation and learning overlap, and how long a run may take [O]."""

    compared: ClassVar = False
    update_lag: Annotated[int, Field(ge=0, le=16)] = 1
    """Vector steps that an update's data are behind. With 0, updates follow each step. With 1 or
    more, they are made while the next step is simulated, whose actions do not know of them yet.
    Every lag is as reproducible as strict alternation."""
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
    """Which faults of rollout processes a run survives [O]."""

    compared: ClassVar = False
    worker_timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds that a rollout process may take for one answer. After that it is replaced and its
    episodes are discarded."""
    limit: Count = 10
    """Faults of one task that end the run: its process died or hung, or its simulator failed."""
