"""The status of a run for a display."""

from __future__ import annotations

from dataclasses import dataclass, field

from genoevo_mega.training.state import TrainingState


@dataclass
class Status:
    """The progress of a run; counters change after every vector step, lists after every round.

    ``success`` is the success rate of each task in the training episodes of the last round; None before the first.
    ``evaluating`` describes the progress of an evaluation and is empty during training. ``events`` are lines about
    faults and changes of stages since the last vector step.
    """

    steps: int = 0
    updates: int = 0
    target: int = 0
    tasks: list[str] = field(default_factory=list)
    stages: list[int] = field(default_factory=list)
    effective_modules: list[int] = field(default_factory=list)
    success: list[float | None] = field(default_factory=list)
    evaluating: str = ""
    events: list[str] = field(default_factory=list)

    @property
    def score(self) -> float | None:
        """The mean of the known success rates; None before the first round."""
        known = [value for value in self.success if value is not None]
        return sum(known) / len(known) if known else None

    def describe(self, state: TrainingState) -> None:
        """Take success, stages and effective modules of all tasks from a run's state."""
        self.success = state.success
        self.stages = state.evolver.stages.tolist()
        self.effective_modules = state.evolver.effective_modules().tolist()
