"""Gradient steps on decoded weights beside evolution: codes as real numbers, trained by the actor's loss.

A genotype's codes, whole numbers of p bits, are relaxed to real numbers v; its weights are HalfSoftmax(v). The paper
changes genotypes by evolution alone, so all of this is [O], and off by default:

1. The genotype that a gradient step uses for a task is trained by it: one drawn from its population, or its elite.
2. The actor's loss alone trains v, and only through the actor. Critics take the weights as they are: through their
   loss, or through their values in the actor's, v would learn to change what a value means.
3. Adam, with moments and steps of its own for each genotype; v is clipped to [0, 2^p - 1] after every step.
4. Gradient steps use v. Episodes, evaluation and export use the genotype's bits: fitness belongs to these.
5. When a round is due, v is written back to the nearest code, before parents are chosen: children inherit what was
   trained. What the episodes of the round showed counts for the genotype as it then is.
6. A genotype that survives the round keeps v, with what rounding left of it, and Adam's state. One that is new, of
   another stage than before, or restored by a rollback, starts anew from its code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from genoevo import Community, StagedLayout
from genoevo_mega.networks import Routing
from genoevo_runs.arrays import Ints, restore_array

_MOMENTS = {"mean": "exp_avg", "square": "exp_avg_sq"}  # our names of Adam's


def half_softmax(values: Tensor, inside: Tensor, offset: float) -> Tensor:
    """:func:`genoevo.half_softmax` of what of the last axis is *inside*, for torch to differentiate; 0 elsewhere."""
    v = values.masked_fill(~inside, 0)
    top = v.detach().amax(-1, keepdim=True)
    terms = (1 - offset) * torch.exp(-top) - torch.exp(v - top) * torch.expm1(-v)
    terms = terms.masked_fill(~inside, 0)
    return terms / terms.sum(-1, keepdim=True)


class RelaxedCodes:
    """The relaxed codes of a community's genotypes, row by row as in its population.

    Parameters
    ----------
    community
        Whose genotypes; it is read, and changed by :meth:`write_back` alone.
    rate
        Adam's learning rate, in units of a code.

    """

    def __init__(self, community: Community, rate: float) -> None:
        self._community = community
        self._largest = 2**community.layout.precision - 1
        modules = community.growth.max_modules
        self._places, self._inside = _places(modules)
        genes = community.layout.length(modules) // community.layout.precision
        # A parameter for each genotype: Adam then leaves those alone that a step does not use.
        self._codes = [nn.Parameter(torch.zeros(genes, dtype=torch.float64)) for _ in community.population.lengths]
        self._optimiser = torch.optim.Adam(self._codes, lr=rate, fused=True)
        self._start(range(len(self._codes)))

    def _start(self, rows: Any) -> None:
        genes = self._community.genes()
        for row in rows:
            code = self._codes[row].data.zero_()
            code[: genes.shape[1]] = torch.from_numpy(genes[row])
            self._optimiser.state.pop(self._codes[row], None)

    def routing(self, rows: Ints) -> Routing:
        """Weights of one genotype of each task, *rows* (tasks,), with the graph that leads to their codes."""
        stages, decoding = torch.from_numpy(self._community.stages), self._community.decoding
        v = decoding.decimal_scale * torch.stack([self._codes[row] for row in rows])[:, self._places]
        weights = half_softmax(v, self._inside, decoding.offset)
        output = weights[torch.arange(len(rows)), stages - 1]
        # The segment of the output takes the place of the next module's.
        used = torch.arange(max(len(self._places) - 1, 1)) < stages[:, None] - 1
        inputs = weights[:, : used.shape[1], : len(self._places)] * used[:, :, None]
        return Routing(inputs.float()[:, None], output.float()[:, None], tuple(stages.tolist()))

    def learn(self) -> None:
        """A step of the codes that have a gradient; none where it is not finite."""
        trained = [code for code in self._codes if code.grad is not None]
        if all(torch.isfinite(code.grad).all() for code in trained):
            self._optimiser.step()
            for code in trained:
                code.data.clamp_(0, self._largest)
        self._optimiser.zero_grad()

    def nearest(self) -> Ints:
        """(n, genes of the most modules) int64: the nearest code to every v."""
        return np.stack([np.rint(code.detach().numpy()) for code in self._codes]).astype(np.int64)

    def write_back(self) -> Ints:
        """Write the nearest codes into the genotypes; (n,) how many genes of each have changed."""
        before = self._community.genes()
        self._community.rewrite(self.nearest()[:, : before.shape[1]])
        changed: Ints = (self._community.genes() != before).sum(axis=1)
        return changed

    def succeed(self, sources: Ints) -> None:
        """Follow a round: *sources* (n,), the row that each genotype had before it, -1 for one that starts anew."""
        before = self._codes
        free = iter(sorted(set(range(len(before))) - set(sources.tolist())))
        self._codes = [before[row if row >= 0 else next(free)] for row in sources]
        self._start(np.flatnonzero(sources < 0))

    def state_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Codes and Adam's moments, (n, genes) float64 each, and steps (n,) int64."""
        states = [self._optimiser.state.get(code, {}) for code in self._codes]
        nothing = torch.zeros_like(self._codes[0])
        arrays = {
            f"relaxed_{name}": np.stack([state.get(key, nothing).numpy() for state in states])
            for name, key in _MOMENTS.items()
        }
        codes = np.stack([code.detach().numpy() for code in self._codes])
        steps = np.array([int(state.get("step", 0)) for state in states], np.int64)
        return {"relaxed_codes": codes, "relaxed_steps": steps, **arrays}

    def load_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take up :meth:`state_arrays`; ValueError where they do not fit."""
        found = self.state_arrays()
        for name, own in found.items():
            restore_array(name, own, arrays[name])
        codes, steps = found["relaxed_codes"], found["relaxed_steps"]
        if codes.min() < 0 or codes.max() > self._largest or steps.min() < 0 or found["relaxed_square"].min() < 0:
            raise ValueError(f"relaxed codes must be from 0 to {self._largest}, steps and squares at least 0")
        for row, code in enumerate(self._codes):
            code.data.copy_(torch.from_numpy(codes[row]))
            self._optimiser.state.pop(code, None)
            if steps[row]:
                moments = {key: torch.tensor(found[f"relaxed_{name}"][row]) for name, key in _MOMENTS.items()}
                self._optimiser.state[code] = {"step": torch.tensor(float(steps[row])), **moments}


def _places(modules: int) -> tuple[Tensor, Tensor]:
    # (modules, modules + 1): where each segment's genes are, and which of a row are its own.
    segments = StagedLayout(1).segments(modules)
    columns = torch.arange(modules + 1)
    starts = torch.tensor([segment.start for segment in segments])[:, None]
    inside = columns < torch.tensor([segment.stop - segment.start for segment in segments])[:, None]
    return torch.where(inside, starts + columns, 0), inside
