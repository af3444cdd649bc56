"""Per-task replay: preallocated rings of transitions, each observation stored once.

A transition's next observation is the next row. An episode's last observation takes a row of its own, which begins
no transition; so do the rows that the ring is about to overwrite. Task identity is the first axis and is not stored.
Observations and actions, most of the memory, may lie on a GPU; what decides which rows are sampled stays with numpy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from genoevo_mega.envs.transition import Transition
from genoevo_runs.arrays import Arrays, Flags, Floats, Ints
from genoevo_runs.checkpoint_store import NewRows
from genoevo_runs.manifest import Segment

_CPU = torch.device("cpu")
# Small segments are joined until they hold this share of the replay: their number is bounded, whatever the interval.
_JOINED = 1 / 64
_RINGS = ("observations", "actions", "rewards", "terminated", "genotypes", "valid")


class Batch(NamedTuple):
    """A batch of task-major transitions of n steps.

    Tensors are (tasks, batch, ...) float32; ``genotypes`` is int64, on the CPU.

    ``rewards`` are the discounted sums of the n steps, ``next_observations`` what follows them, and ``discounts`` the
    factors of its value: gamma^n, 0 where the task itself ended. At a time limit they are not 0, so that values are
    bootstrapped through truncation. If an episode ends within the n steps, n is the number of steps that it has left.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    next_observations: torch.Tensor
    discounts: torch.Tensor
    genotypes: torch.Tensor


class Replay:
    """A replay memory with one ring per task.

    Parameters
    ----------
    tasks, observation_size, action_size
        Shapes of what is stored.
    capacity
        Transitions per task that are certainly held, for episodes of at least *episode_length* steps.
    device
        Where observations and actions lie.

    """

    def __init__(
        self,
        tasks: int,
        capacity: int,
        observation_size: int,
        action_size: int,
        episode_length: int,
        device: torch.device = _CPU,
    ) -> None:
        rows = capacity + capacity // episode_length + 2
        self.observations = torch.zeros((tasks, rows, observation_size), device=device)
        self.actions = torch.zeros((tasks, rows, action_size), device=device)
        self.rewards = np.zeros((tasks, rows), np.float32)
        self.terminated = np.zeros((tasks, rows), np.bool_)
        self.genotypes = np.zeros((tasks, rows), np.int32)
        self.valid = np.zeros((tasks, rows), np.bool_)
        self.head = np.zeros(tasks, np.int64)
        self.filled = np.zeros(tasks, np.int64)
        self.written = np.zeros(tasks, np.int64)

    def __len__(self) -> int:
        """Return the number of transitions of all tasks together."""
        return int(self.valid.sum())

    def ready(self, newest: int = 0, least: int = 0) -> bool:
        """Return whether every task has had *least* rows, or all, and has a transition before its *newest* ones."""
        # A task may have lost its episodes; a run may have been resumed with an empty replay.
        if (self.written < min(least, self.valid.shape[1])).any():
            return False
        # At most every other row begins no transition: most calls need not count.
        return bool((self.filled > 2 * newest + 1).all() or (self.valid.sum(axis=1) > newest).all())

    @property
    def nbytes(self) -> int:
        """The number of allocated bytes."""
        return sum(getattr(self, name).nbytes for name in _RINGS)

    def add(
        self,
        observations: Floats,
        actions: Floats,
        transition: Transition,
        ended: Flags,
        genotypes: Ints,
    ) -> None:
        """Add one transition of every task whose transition is not lost.

        *ended* (tasks,) marks the last transition of an episode, whether it terminated or met a time limit.
        """
        tasks = np.flatnonzero(~transition.lost)
        row, rows = self.head[tasks], self.valid.shape[1]
        self._store(self.observations, tasks, row, observations)
        self._store(self.actions, tasks, row, actions)
        self.rewards[tasks, row] = transition.rewards[tasks]
        self.terminated[tasks, row] = transition.terminated[tasks]
        self.genotypes[tasks, row] = genotypes[tasks]
        self.valid[tasks, row] = True
        after = (row + 1) % rows
        self._store(self.observations, tasks, after, transition.observations)
        self.valid[tasks, after] = False
        self.filled[tasks] = np.maximum(self.filled[tasks], np.maximum(row, after) + 1)
        self.written[tasks] += np.where(ended[tasks], 2, 1)
        self.head = self.written % rows

    def cut(self, tasks: Ints) -> None:
        """End the running episodes of *tasks*, each with at least one transition, as a time limit does.

        The last observation keeps its row, which begins no transition; what is added next belongs to another episode.
        """
        self.written[tasks] += 1
        self.head = self.written % self.valid.shape[1]

    def sample(self, batch: int, rng: np.random.Generator, *, gamma: float, steps: int = 1, newest: int = 0) -> Batch:
        """Draw *batch* transitions of *steps* steps of every task, uniformly with replacement.

        The *newest* transitions of every task are left out; every task must have one before them.
        """
        tasks = np.arange(len(self.head))[:, None]
        hidden = self._newest(newest)
        shown = self.valid[hidden]
        self.valid[hidden] = False
        rows = rng.integers(0, self.filled[:, None], (len(self.head), batch))
        while not (hit := self.valid[tasks, rows]).all():
            task, column = np.nonzero(~hit)
            rows[task, column] = rng.integers(0, self.filled[task])
        ahead, size = np.arange(steps), self.valid.shape[1]
        window = tasks[..., None], (rows[..., None] + ahead) % size
        # A row that begins no transition ends the episode; those behind it belong to others.
        running = np.logical_and.accumulate(self.valid[window], axis=-1)
        self.valid[hidden] = shown
        taken = running.sum(axis=-1)
        rewards = (self.rewards[window] * running) @ (gamma**ahead).astype(np.float32)
        ended = self.terminated[tasks, (rows + taken - 1) % size]
        return Batch(
            self._gather(self.observations, rows),
            self._gather(self.actions, rows),
            torch.from_numpy(rewards),
            self._gather(self.observations, (rows + taken) % size),
            torch.from_numpy(np.where(ended, 0, gamma**taken).astype(np.float32)),
            torch.from_numpy(self.genotypes[tasks, rows].astype(np.int64)),
        )

    def _newest(self, count: int) -> tuple[Ints, Ints]:
        """Return tasks and rows (count, tasks) of each task's newest transitions."""
        tasks, size, row, found = np.arange(len(self.head)), self.valid.shape[1], self.head, []
        for _ in range(count):
            row = (row - 1) % size
            row = np.where(self.valid[tasks, row], row, (row - 1) % size)  # past an episode's last observation
            found.append(row)
        rows = np.array(found, np.int64).reshape(count, len(tasks))
        return np.broadcast_to(tasks, rows.shape), rows

    def _store(self, ring: torch.Tensor, tasks: Ints, row: Ints, values: Floats) -> None:
        places = self._flat(ring, tasks[:, None], row[:, None])
        ring.flatten(0, 1).index_copy_(0, places, torch.from_numpy(values[tasks]).to(ring.device))

    def _gather(self, ring: torch.Tensor, rows: Ints) -> torch.Tensor:
        places = self._flat(ring, np.arange(len(rows))[:, None], rows)
        return ring.flatten(0, 1).index_select(0, places).view(*rows.shape, -1)

    @staticmethod
    def _flat(ring: torch.Tensor, tasks: Ints, rows: Ints) -> torch.Tensor:
        """Return rows (tasks, n) of *tasks* (tasks, 1) as rows of one ring for all tasks."""
        return torch.from_numpy((rows + tasks * ring.shape[1]).reshape(-1)).to(ring.device)

    def _rings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _RINGS}

    # ------------------------------------------------------------------------------------------------- persistence
    # A row is named by its number, counted from the first that was ever written; it lies at number % rows. The rows
    # from `oldest` to `written` are finished: they never change until the ring overwrites them. A checkpoint stores
    # only finished rows that no earlier checkpoint holds. Row `written` is begun: it may hold the next observation.

    @property
    def oldest(self) -> Ints:
        """The number of each task's oldest row that the ring still holds, (tasks,) int64."""
        return np.maximum(self.written - self.valid.shape[1] + 1, 0)

    def new_rows(self, segments: list[Segment]) -> NewRows:
        """Return what the checkpoint after the one of *segments* stores: segments named again, and later rows."""
        oldest, last = self.oldest, self.written.copy()
        kept = [segment for segment in segments if (segment.bounds[1] > oldest).any()]
        first = np.maximum(kept[-1].bounds[1], oldest) if kept else oldest
        if not (last > first).any():
            return NewRows(kept, first, last, None)
        limit = _JOINED * self.valid.size
        while kept and sum(kept[-1].last) - sum(kept[-1].first) <= min((last - first).sum(), limit):
            first = np.maximum(kept.pop().bounds[0], oldest)
        return NewRows(kept, first, last, self.rows(first, last))

    def rows(self, first: Ints, last: Ints) -> Arrays:
        """Copy the rows *first* to *last* (tasks,), last excluded: (n, ...) of each ring, task after task."""
        return {
            name: np.concatenate([_to_numpy(ring[task, part]) for task, part in self._parts(first, last)])
            for name, ring in self._rings().items()
        }

    def load_rows(self, first: Ints, last: Ints, rows: Arrays) -> None:
        """Restore what :meth:`rows` returned; ValueError if it does not fit."""
        for name, ring in self._rings().items():
            given, expected = rows[name], ((last - first).sum(), *ring.shape[2:])
            if given.shape != expected or given.dtype != _dtype(ring):
                raise ValueError(f"replay {name}: {given.dtype}{given.shape} is not {_dtype(ring)}{expected}")
            taken = 0
            for task, part in self._parts(first, last):
                count = part.stop - part.start
                _put(ring, (task, part), given[taken : taken + count])
                taken += count

    def _parts(self, first: Ints, last: Ints) -> Iterator[tuple[int, slice]]:
        # The places of rows in the ring: one slice for each task, two if the rows wrap around its end.
        size = self.valid.shape[1]
        for task, (begin, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
            start, count = begin % size, end - begin
            before_end = min(count, size - start)
            yield task, slice(start, start + before_end)
            if count > before_end:
                yield task, slice(0, count - before_end)

    def state_arrays(self) -> Arrays:
        """Return the state beside finished rows: their number, and the row that each task has begun."""
        tasks = np.arange(len(self.head))
        begun = {f"begun/{name}": _to_numpy(ring[tasks, self.head]) for name, ring in self._rings().items()}
        return {**begun, "written": self.written.copy(), "filled": self.filled.copy()}

    def load_arrays(self, arrays: Arrays) -> None:
        """Restore :meth:`state_arrays` after all its rows; ValueError if they do not fit."""
        written, filled, size = arrays["written"], arrays["filled"], self.valid.shape[1]
        for name, counts in (("written", written), ("filled", filled)):
            if counts.shape != self.head.shape or counts.dtype != np.int64 or counts.min() < 0:
                raise ValueError(f"replay {name} must be {len(self.head)} counts, got {counts.dtype}{counts.shape}")
        if (filled != np.clip(filled, np.minimum(written, size), np.minimum(written + 1, size))).any():
            raise ValueError(f"replay filled {filled.tolist()} does not fit written {written.tolist()}")
        self.written[:], self.filled[:], self.head[:] = written, filled, written % size
        tasks = np.arange(len(self.head))
        for name, ring in self._rings().items():
            begun = arrays[f"begun/{name}"]
            if begun.shape != (len(tasks), *ring.shape[2:]) or begun.dtype != _dtype(ring):
                raise ValueError(f"replay {name}: {begun.dtype}{begun.shape} does not fit {_dtype(ring)}{ring.shape}")
            _put(ring, (tasks, self.head), begun)
        # Sampling draws again until it meets a transition, so that each task must have one.
        within = np.arange(size) < filled[:, None]
        if (self.valid & ~within).any() or ((written > 0) & ~(self.valid & within).any(axis=1)).any():
            raise ValueError("replay valid marks no transition of a task, or one that was never written")

    def load_rings(self, arrays: Arrays) -> None:
        """Restore whole rings, as checkpoints of version 2 hold them; ValueError if they do not fit."""
        head, filled, size = np.array(arrays["head"]), arrays["filled"], self.valid.shape[1]
        if head.shape != self.head.shape or ((head < 0) | (head >= size)).any():
            raise ValueError(f"replay head {head.tolist()} lies outside of {size} rows")
        for name, ring in self._rings().items():
            held = arrays[name]
            if held.shape[0] != ring.shape[0] or held.shape[1] > size or held.shape[2:] != ring.shape[2:]:
                raise ValueError(f"replay {name} of shape {held.shape} does not fit {tuple(ring.shape)}")
            if held.dtype != _dtype(ring):
                raise ValueError(f"replay {name} is of {held.dtype}, not of {_dtype(ring)}")
            _put(ring, (slice(None), slice(0, held.shape[1])), np.array(held))
        tasks = np.arange(len(head))
        begun = {f"begun/{name}": _to_numpy(ring[tasks, head]) for name, ring in self._rings().items()}
        self.load_arrays({**begun, "written": np.where(filled < size, head, head + size), "filled": np.array(filled)})

    def clear(self) -> None:
        """Forget all transitions."""
        self.valid[:] = False
        self.written[:], self.filled[:], self.head[:] = 0, 0, 0


def _to_numpy(part: Any) -> npt.NDArray[np.generic]:
    return part.cpu().numpy() if isinstance(part, torch.Tensor) else np.asarray(part)


def _dtype(ring: Any) -> np.dtype[Any]:
    return _to_numpy(ring[:1, :1]).dtype


def _put(ring: Any, where: tuple[Any, Any], values: npt.NDArray[Any]) -> None:
    if isinstance(ring, torch.Tensor) and ring.device.type != "cpu":
        ring[where] = torch.from_numpy(np.array(values)).to(ring.device)
    else:
        np.asarray(ring)[where] = values
