"""The relaxed codes of genotypes: real numbers, trained by the actor's loss beside evolution.

A genotype's codes, whole numbers of p bits, are relaxed to real numbers v; its weights are HalfSoftmax(v). The paper
changes genotypes by evolution alone, so all of these rules are [O], and off by default:

1. A gradient step trains the genotype that it uses for a task: one drawn from the population, or the elite.
2. Only the actor's loss trains v, and only through the actor. In the critics the weights are constants. Otherwise v
   would learn to change the meaning of a value, through the critics' loss or their values in the actor's loss.
3. The optimizer is Adam, with separate moments and steps for each genotype. After every step, v is clipped to
   [0, 2^p - 1].
4. Gradient steps use v. Episodes, evaluation and export use the genotype's bits: fitness belongs to the bits.
5. When a round is due, v is rounded to the nearest code and written back, before parents are chosen: children inherit
   the trained codes. The episodes of the round count for the genotype after this change.
6. A genotype that survives the round keeps v, with its fractional part, and Adam's state. A genotype starts anew from
   its code if it is new, if its stage has changed, or if a rollback restored it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genoevo import Community, StagedLayout
from genoevo_mega.networks import Routing
from genoevo_runs.arrays import Arrays, Ints, restore_array

_MOMENTS = {"mean": "exp_avg", "square": "exp_avg_sq"}  # our names of Adam's state


def half_softmax(values: Tensor, inside: Tensor, offset: float) -> Tensor:
    """Return :func:`genoevo.half_softmax` over the entries of the last axis that are *inside*; 0 for the others.

    *values* are (..., n) float64 and *inside* is bool of the same shape, or broadcasts to it. Torch can differentiate
    the result with respect to *values*.
    """
    v = values.masked_fill(~inside, 0)
    top = v.detach().amax(-1, keepdim=True)
    terms = (1 - offset) * torch.exp(-top) - torch.exp(v - top) * torch.expm1(-v)
    terms = terms.masked_fill(~inside, 0)
    return terms / terms.sum(-1, keepdim=True)


class RelaxedCodes:
    """The relaxed codes of a community's genotypes, in the order of its population.

    Parameters
    ----------
    community
        The community of the genotypes; only :meth:`write_back` changes it.
    rate
        The learning rate of Adam, in units of a code.

    """

    def __init__(self, community: Community, rate: float) -> None:
        self._community = community
        self._largest = 2**community.layout.precision - 1
        modules = community.growth.max_modules
        self._places, self._inside = _places(modules)
        genes = community.layout.length(modules) // community.layout.precision
        # A parameter for each genotype: a step of Adam then leaves unused genotypes unchanged.
        self._codes = [nn.Parameter(torch.zeros(genes, dtype=torch.float64)) for _ in community.population.lengths]
        self._optimizer = torch.optim.Adam(self._codes, lr=rate, fused=True)
        self._start(range(len(self._codes)))

    def _start(self, rows: Any) -> None:
        genes = self._community.genes()
        for row in rows:
            code = self._codes[row].data.zero_()
            code[: genes.shape[1]] = torch.from_numpy(genes[row])
            self._optimizer.state.pop(self._codes[row], None)

    def routing(self, rows: Ints) -> Routing:
        """Return the weights of one genotype of each task, differentiable with respect to its codes.

        *rows* (tasks,) int64 are the genotypes' rows in the population.
        """
        stages, decoding = torch.from_numpy(self._community.stages), self._community.decoding
        v = decoding.decimal_scale * torch.stack([self._codes[row] for row in rows])[:, self._places]
        weights = half_softmax(v, self._inside, decoding.offset)
        output = weights[torch.arange(len(rows)), stages - 1]
        # The segment of the output has the place of the next module's segment.
        used = torch.arange(max(len(self._places) - 1, 1)) < stages[:, None] - 1
        inputs = weights[:, : used.shape[1], : len(self._places)] * used[:, :, None]
        return Routing(inputs.float()[:, None], output.float()[:, None], tuple(stages.tolist()))

    def step(self) -> None:
        """Make a step of the codes that have a gradient; if any gradient is not finite, no code changes."""
        trained = [code for code in self._codes if code.grad is not None]
        if all(torch.isfinite(code.grad).all() for code in trained):
            self._optimizer.step()
            for code in trained:
                code.data.clamp_(0, self._largest)
        self._optimizer.zero_grad()

    def nearest(self) -> Ints:
        """Return the nearest code to every v, (n, genes at the maximum of modules) int64."""
        return np.stack([np.rint(code.detach().numpy()) for code in self._codes]).astype(np.int64)

    def write_back(self) -> Ints:
        """Write the nearest codes into the genotypes; return the number of changed genes of each, (n,) int64."""
        before = self._community.genes()
        self._community.rewrite(self.nearest()[:, : before.shape[1]])
        changed: Ints = (self._community.genes() != before).sum(axis=1)
        return changed

    def follow_round(self, sources: Ints) -> None:
        """Reorder the codes after a round.

        *sources* (n,) int64 holds the row of each genotype before the round, -1 if the genotype starts anew.
        """
        before = self._codes
        free = iter(sorted(set(range(len(before))) - set(sources.tolist())))
        self._codes = [before[row if row >= 0 else next(free)] for row in sources]
        self._start(np.flatnonzero(sources < 0))

    def state_arrays(self) -> Arrays:
        """Return codes and Adam's moments, each (n, genes) float64, and Adam's steps, (n,) int64, by name."""
        states = [self._optimizer.state.get(code, {}) for code in self._codes]
        nothing = torch.zeros_like(self._codes[0])
        arrays = {
            f"relaxed_{name}": np.stack([state.get(key, nothing).numpy() for state in states])
            for name, key in _MOMENTS.items()
        }
        codes = np.stack([code.detach().numpy() for code in self._codes])
        steps = np.array([int(state.get("step", 0)) for state in states], np.int64)
        return {"relaxed_codes": codes, "relaxed_steps": steps, **arrays}

    def load_arrays(self, arrays: Arrays) -> None:
        """Restore :meth:`state_arrays`; ValueError if they do not fit."""
        found = self.state_arrays()
        for name, own in found.items():
            restore_array(name, own, arrays[name])
        codes, steps = found["relaxed_codes"], found["relaxed_steps"]
        if codes.min() < 0 or codes.max() > self._largest or steps.min() < 0 or found["relaxed_square"].min() < 0:
            raise ValueError(f"relaxed codes must be from 0 to {self._largest}, steps and squares at least 0")
        for row, code in enumerate(self._codes):
            code.data.copy_(torch.from_numpy(codes[row]))
            self._optimizer.state.pop(code, None)
            if steps[row]:
                moments = {key: torch.tensor(found[f"relaxed_{name}"][row]) for name, key in _MOMENTS.items()}
                self._optimizer.state[code] = {"step": torch.tensor(float(steps[row])), **moments}


def _places(modules: int) -> tuple[Tensor, Tensor]:
    # Both are (modules, modules + 1), with a row per segment: the places of its genes, and the entries that belong to
    # it.
    segments = StagedLayout(1).segments(modules)
    columns = torch.arange(modules + 1)
    starts = torch.tensor([segment.start for segment in segments])[:, None]
    inside = columns < torch.tensor([segment.stop - segment.start for segment in segments])[:, None]
    return torch.where(inside, starts + columns, 0), inside
