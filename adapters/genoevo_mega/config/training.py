"""Settings of episodes and evaluation, and of how a run is carried out."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genoevo_runs.settings import Count, Settings


class Environment(Settings):
    """The simulated episodes."""

    episode_length: Count = 200
    """Steps per episode [P]; of Meta-World's at most 500, where it truncates whatever is asked."""
    reward_version: Literal["v1", "v2"] = "v2"
    """Meta-World's reward functions; those of v1 differ by orders of magnitude between tasks."""
    goals: Count = 50
    """Goals per task for training; 50 is Meta-World's own number. Evaluation has others, a new one each episode."""
    change_at: Count | None = None
    """Environment steps of all tasks together after which tasks named ``-change`` change; their suites need it."""


class Evaluation(Settings):
    """Greedy episodes on goals that training never sees."""

    episodes: Count = 20
    """Episodes per task."""
    every: Annotated[int, Field(ge=0)] = 0
    """Environment steps between evaluations during training; 0 for none."""
    at_end: bool = True


class Compute(Settings):
    """The hardware that a run uses. Results depend on device and threads in their last bits."""

    compared: ClassVar = False
    device: Literal["cpu", "cuda"] = "cpu"
    """Where networks and, if it fits, replay lie."""
    workers: Count = 1
    """Rollout processes."""
    threads: Count = 1
    """Threads of the learner."""


class Schedule(Settings):
    """The order of simulation and learning, and how long a run may take."""

    compared: ClassVar = False
    update_lag: Annotated[int, Field(ge=0, le=16)] = 1
    """Vector steps that an update's data are behind: 0 makes updates after each step, 1 or more while the next one is
    simulated, whose actions do not know of them yet. As reproducible as strict alternation."""
    double_buffering: bool = False
    """Whether one half of the tasks steps while actions of the other are computed; worth it where acting takes longer
    than a message to the workers and cores are left for it."""
    time_limit_minutes: Annotated[float, Field(gt=0)] | None = None
    """Time budget: training that takes longer ends as if it had reached its steps, and can be resumed."""


class Checkpoints(Settings):
    """When a run is saved, and what is kept."""

    compared: ClassVar = False
    every: Annotated[int, Field(ge=0)] = 500_000
    """Environment steps between checkpoints; 0 for one at the end alone."""
    keep: Count = 2
    """The newest ones that are kept, beside that of the best policy."""


class Faults(Settings):
    """What a run tolerates of its rollout processes."""

    compared: ClassVar = False
    worker_timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds that a rollout process may take for one answer; then it is replaced, and its episodes begin anew."""
    limit: Count = 10
    """Faults of one task (its process died or hung, its simulator failed) that end the run."""
