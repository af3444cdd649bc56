"""The running means of a learner's losses."""

from __future__ import annotations

import torch

_COUNTED = ("skipped", "masked")


class RunningMeans:
    """The means of named 0-d tensors since they were last taken; they are summed without waiting for a GPU.

    ``skipped``, the updates that made no step, is counted and not averaged; these updates are left out of the means.
    ``masked`` (tasks,), the updates that left a task out, is counted as well.
    """

    def __init__(self, count: int = 0, sums: dict[str, float | list[float]] | None = None) -> None:
        self.sums = {name: torch.tensor(value, dtype=torch.float64) for name, value in (sums or {}).items()}
        self.count = count

    def add(self, values: dict[str, torch.Tensor]) -> None:
        """Add one value of each name."""
        skipped = values.get("skipped", torch.tensor(0.0))
        for name, value in values.items():
            counted = value if name in _COUNTED else value * (1 - skipped)
            finite = torch.nan_to_num(counted.double(), nan=0.0, posinf=0.0, neginf=0.0)
            self.sums[name] = self.sums[name].to(finite.device) + finite if name in self.sums else finite
        self.count += 1

    @property
    def skipped(self) -> int:
        """The number of updates without a step since the means were last taken."""
        return int(self.sums.get("skipped", 0))

    @property
    def masked(self) -> list[int]:
        """The number of updates that left each task out since the means were last taken; empty if tasks never are."""
        return [int(count) for count in self.sums.get("masked", ())]

    def take(self) -> dict[str, float]:
        """Return ``skipped`` and the means over updates that made a step, if there are any; then reset."""
        sums, skipped = self.sums, self.skipped
        made = self.count - skipped
        means = {name: float(value) / made for name, value in sums.items() if made and name not in _COUNTED}
        self.sums, self.count = {}, 0
        return {**means, "skipped": skipped}

    def sums_as_floats(self) -> dict[str, float | list[float]]:
        """Return the sums as JSON values."""
        return {name: value.tolist() for name, value in self.sums.items()}
