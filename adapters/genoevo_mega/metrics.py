"""What a run writes while it trains: JSON lines, and the same numbers for TensorBoard.

``metrics.jsonl`` holds what the seed decides and nothing else, so that a run that was interrupted writes the same
bytes as one that was not. Wall time goes to ``time.jsonl``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from genoevo_mega.errors import UserError

METRICS, TIME, TENSORBOARD = "metrics.jsonl", "time.jsonl", "tensorboard"


class MetricsWriter:
    """Appends records to a run directory.

    Parameters
    ----------
    directory
        The run directory.
    offset
        Bytes of ``metrics.jsonl`` that a checkpoint knows of; what was written after it is cut off.
    step
        Environment steps of that checkpoint.

    """

    def __init__(self, directory: Path, offset: int = 0, step: int = 0) -> None:
        path = directory / METRICS
        if offset and (not path.exists() or path.stat().st_size < offset):
            raise UserError(f"{path} is shorter than the {offset} bytes that its checkpoint knows of")
        self._metrics = path.open("ab")
        self._metrics.truncate(offset)
        self._time = (directory / TIME).open("ab")
        self._board = SummaryWriter(directory / TENSORBOARD, purge_step=step + 1 if step else None)

    def write(self, record: dict[str, Any]) -> None:
        """One line; ``record["step"]`` places its numbers on TensorBoard's axis."""
        _append(self._metrics, record)
        for name, value in _scalars("", record):
            self._board.add_scalar(name, value, record["step"])

    def write_time(self, record: dict[str, Any]) -> None:
        """One line of wall-clock figures."""
        _append(self._time, record)

    def sync(self) -> int:
        """Bring ``metrics.jsonl`` to the disk; its bytes."""
        os.fsync(self._metrics.fileno())
        return self._metrics.seek(0, 2)

    def __enter__(self) -> MetricsWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._metrics.close()
        self._time.close()
        self._board.close()


def _append(file: Any, record: dict[str, Any]) -> None:
    file.write(json.dumps(record, allow_nan=False).encode() + b"\n")
    file.flush()


def _scalars(prefix: str, record: dict[str, Any]) -> list[tuple[str, float]]:
    found = []
    for name, value in record.items():
        path = f"{prefix}/{name}" if prefix else name
        if isinstance(value, dict):
            found += _scalars(path, value)
        elif isinstance(value, int | float) and name not in ("step", "kind"):
            found.append((path, float(value)))
    return found


class RunningMeans:
    """Means of named 0-d tensors since they were last taken; summed as tensors, so that nothing waits for them.

    ``skipped`` is counted, not averaged: updates that made no step. What is not finite in them is left out.
    """

    def __init__(self, count: int = 0, sums: dict[str, float] | None = None) -> None:
        # float32 sums survive JSON's float64 unchanged.
        self.sums = {name: torch.tensor(value) for name, value in (sums or {}).items()}
        self.count = count

    def add(self, values: dict[str, torch.Tensor]) -> None:
        """Count one value of each name."""
        for name, value in values.items():
            finite = torch.nan_to_num(value, nan=0.0, posinf=0.0, neginf=0.0)
            self.sums[name] = self.sums[name].to(finite.device) + finite if name in self.sums else finite
        self.count += 1

    @property
    def skipped(self) -> int:
        """Updates without a step since the means were last taken."""
        return int(self.sums.get("skipped", 0))

    def take(self) -> dict[str, float]:
        """The means over updates that made a step, none where there is none, and ``skipped``; starts anew."""
        sums, skipped = self.sums_as_floats(), self.skipped
        made = self.count - skipped
        means = {name: value / made for name, value in sums.items() if made and name != "skipped"}
        self.sums, self.count = {}, 0
        return {**means, "skipped": skipped}

    def sums_as_floats(self) -> dict[str, float]:
        """The sums as JSON values."""
        return {name: float(value) for name, value in self.sums.items()}
