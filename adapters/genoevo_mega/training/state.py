"""The state of a run, which training changes and a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from genoevo_mega.agents.replay import Replay
from genoevo_mega.agents.sac import SacAgent
from genoevo_mega.envs.episodes import Episodes
from genoevo_mega.envs.transition import Transition
from genoevo_mega.evolution.structure import Structure
from genoevo_mega.training.clock import training_clock
from genoevo_mega.training.errors import diverged
from genoevo_mega.training.evaluation import SuccessRate
from genoevo_mega.training.losses import RunningMeans
from genoevo_mega.training.throughput import Work
from genoevo_runs.arrays import Flags, Floats, Ints
from genoevo_runs.checkpoint_store import Loaded
from genoevo_runs.clock import Clock


@dataclass(eq=False)
class TrainingState:
    """Everything that a run needs to continue.

    Attributes
    ----------
    agent, evolver, replay, episodes
        The learner, the structure, the transitions and the unfinished episodes.
    rngs
        Random generators by purpose: ``goals``, ``random_actions``, ``replay``, ``update_genotypes``, ``surrogate``.
    success
        Success rate of each task in the training episodes of the last round; None before the first round.
    steps
        Environment steps, summed over the tasks.
    losses
        Running means of the losses since the last round.
    masked
        Updates that left each task out, until the last round; None unless ``sac.mask_loss_above`` is set.
    evaluation_due
        Whether the next step must wait for an evaluation.
    evaluated, evaluated_at
        Success rate of each task in the last evaluation, None before the first, and ``steps`` at that time.
    clock, work
        Wall time by category, and the work done in it.
    metrics_offset, metrics_sha256
        Size of ``metrics.jsonl`` at the last checkpoint, in bytes, and its SHA-256.
    loaded
        The checkpoint that the state was loaded from or last written to.

    """

    agent: SacAgent
    evolver: Structure
    replay: Replay
    episodes: Episodes
    rngs: dict[str, np.random.Generator]
    success: list[float | None]
    masked: list[int] | None
    steps: int = 0
    losses: RunningMeans = field(default_factory=RunningMeans)
    evaluation_due: bool = False
    evaluated: list[SuccessRate] | None = None
    evaluated_at: int = 0
    clock: Clock = field(default_factory=training_clock)
    work: Work = field(default_factory=Work)
    metrics_offset: int = 0
    metrics_sha256: str | None = None
    loaded: Loaded = field(default_factory=Loaded)

    @property
    def vector_steps(self) -> int:
        """The environment steps of each task."""
        return self.steps // len(self.success)

    def check_gradients(self, limit: int) -> None:
        """Raise DivergedError if *limit* or more updates since the last round had gradients that were not finite."""
        if (skipped := self.losses.skipped) >= limit:
            made = f"{skipped} updates since the last round made no step, sac.max_skipped is {limit}"
            raise diverged("gradients", self.steps, made)

    def remember(
        self, observations: Floats, actions: Floats, transition: Transition, ended: Flags, genotypes: Ints
    ) -> None:
        """Add a transition of every task to the replay, as :meth:`Replay.add` does, and to the statistics."""
        self.replay.add(observations, actions, transition, ended, genotypes)
        self.agent.normaliser.observe(transition, ended)

    def cut(self, lost: Flags) -> None:
        """End the episodes under way of the tasks that *lost* (tasks,) marks, as :meth:`Replay.cut` does."""
        tasks = np.flatnonzero(lost & (self.episodes.taken > 0))
        self.replay.cut(tasks)
        self.agent.normaliser.cut(tasks)

    def take_masked(self) -> list[int] | None:
        """Add the updates since the last round that left each task out to ``masked``, and return them."""
        if self.masked is None:
            return None
        fresh = self.losses.masked or [0] * len(self.masked)
        self.masked = [before + new for before, new in zip(self.masked, fresh, strict=True)]
        return fresh
