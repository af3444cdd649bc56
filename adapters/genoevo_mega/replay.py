"""Per-task replay: preallocated rings of transitions, each observation stored once.

A transition's next observation is the next row. An episode's last observation takes a row of its own, which begins
no transition; so do the rows that the ring is about to overwrite. Task identity is the first axis and is not stored.
Observations and actions, most of the memory, may lie on a GPU; what decides which rows are sampled stays with numpy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from genoevo_mega.rollout import Flags, Floats, Transition

_CPU = torch.device("cpu")
_RINGS = ("observations", "actions", "rewards", "terminated", "genotypes", "valid")


class Batch(NamedTuple):
    """Task-major transitions of n steps: (tasks, batch, ...) float32 tensors; ``genotypes`` is int64, on the CPU.

    ``rewards`` are the discounted sums of the n steps, ``next_observations`` what follows them, and ``discounts`` the
    factors of its value: gamma^n, 0 where the task itself ended. At a time limit they are not 0, so that values are
    bootstrapped through truncation. Where an episode ends within the n steps, they are as many as it has left.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    next_observations: torch.Tensor
    discounts: torch.Tensor
    genotypes: torch.Tensor


class Replay:
    """One ring per task.

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

    def __len__(self) -> int:
        """Transitions of all tasks together."""
        return int(self.valid.sum())

    @property
    def nbytes(self) -> int:
        """Bytes that are allocated."""
        return sum(getattr(self, name).nbytes for name in _RINGS)

    def add(
        self,
        observations: Floats,
        actions: Floats,
        transition: Transition,
        ended: Flags,
        genotypes: npt.NDArray[np.int64],
    ) -> None:
        """One transition of every task; *ended* marks the last of an episode, terminated or cut by time."""
        tasks, row = np.arange(len(self.head)), self.head
        rows = self.valid.shape[1]
        self._store(self.observations, row, observations)
        self._store(self.actions, row, actions)
        self.rewards[tasks, row] = transition.rewards
        self.terminated[tasks, row] = transition.terminated
        self.genotypes[tasks, row] = genotypes
        self.valid[tasks, row] = True
        after = (row + 1) % rows
        self._store(self.observations, after, transition.observations)
        self.valid[tasks, after] = False
        self.filled = np.maximum(self.filled, np.maximum(row, after) + 1)
        self.head = np.where(ended, after + 1, after) % rows

    def sample(self, batch: int, rng: np.random.Generator, *, gamma: float, steps: int = 1, newest: int = 0) -> Batch:
        """*batch* transitions of *steps* steps of every task, uniform with replacement.

        The *newest* transitions of every task are left out; every task must have one before them.
        """
        tasks = np.arange(len(self.head))[:, None]
        hidden = self._newest(newest)
        self.valid[hidden] = False
        rows = rng.integers(0, self.filled[:, None], (len(self.head), batch))
        while not (hit := self.valid[tasks, rows]).all():
            task, column = np.nonzero(~hit)
            rows[task, column] = rng.integers(0, self.filled[task])
        ahead, size = np.arange(steps), self.valid.shape[1]
        window = tasks[..., None], (rows[..., None] + ahead) % size
        # A row that begins no transition ends the episode; those behind it belong to others.
        running = np.logical_and.accumulate(self.valid[window], axis=-1)
        self.valid[hidden] = True
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

    def _newest(self, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Tasks and rows (count, tasks) of each task's newest transitions."""
        tasks, size, row, found = np.arange(len(self.head)), self.valid.shape[1], self.head, []
        for _ in range(count):
            row = (row - 1) % size
            row = np.where(self.valid[tasks, row], row, (row - 1) % size)  # past an episode's last observation
            found.append(row)
        rows = np.array(found, np.int64).reshape(count, len(tasks))
        return np.broadcast_to(tasks, rows.shape), rows

    def _store(self, ring: torch.Tensor, row: npt.NDArray[np.int64], values: Floats) -> None:
        ring.flatten(0, 1).index_copy_(0, self._flat(ring, row[:, None]), torch.from_numpy(values).to(ring.device))

    def _gather(self, ring: torch.Tensor, rows: npt.NDArray[np.int64]) -> torch.Tensor:
        return ring.flatten(0, 1).index_select(0, self._flat(ring, rows)).view(*rows.shape, -1)

    @staticmethod
    def _flat(ring: torch.Tensor, rows: npt.NDArray[np.int64]) -> torch.Tensor:
        """Rows (tasks, n) as rows of all tasks in one."""
        first = np.arange(len(rows))[:, None] * ring.shape[1]
        return torch.from_numpy((rows + first).reshape(-1)).to(ring.device)

    def _rings(self) -> dict[str, npt.NDArray[Any]]:
        """Every ring as numpy's; a copy where it lies on another device."""
        return {name: np.asarray(torch.as_tensor(getattr(self, name)).cpu()) for name in _RINGS}

    def state_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The filled part of every ring, and where each is written next."""
        used = int(self.filled.max())
        arrays = {name: ring[:, :used] for name, ring in self._rings().items()}
        return {**arrays, "head": self.head, "filled": self.filled}

    def load_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take up :meth:`state_arrays`; ValueError where they do not fit."""
        for name, ring in self._rings().items():
            used = arrays[name]
            if used.shape[0] != ring.shape[0] or used.shape[1] > ring.shape[1] or used.shape[2:] != ring.shape[2:]:
                raise ValueError(f"replay {name} of shape {used.shape} does not fit {ring.shape}")
            ring[:, : used.shape[1]] = used
            if name in ("observations", "actions"):
                getattr(self, name).copy_(torch.from_numpy(ring))
        self.head[:] = arrays["head"]
        self.filled[:] = arrays["filled"]
