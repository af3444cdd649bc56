"""What a display shows of a run under way."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Status:
    """What a display shows: the counters after every vector step, the lists after every round.

    ``success`` is training's, of the last round's episodes; None before the first. ``evaluating`` says which episode
    of an evaluation is done, empty while training. ``events`` are the changes of stage since the last vector step.
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
