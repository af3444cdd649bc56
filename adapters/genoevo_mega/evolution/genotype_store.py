"""The decoded weights of genotypes, by the number under which replay stores them."""

from __future__ import annotations

import numpy as np
import torch

from genoevo import StagedLayout
from genoevo.community import RecordCommunity, TaskPopulations
from genoevo.decode import decode_population, from_gene_values, stages_of
from genoevo.population import Population
from genoevo.state import population_from_state
from genoevo_mega.networks import Routing
from genoevo_runs.arrays import Arrays, Doubles, Floats, Ints


class GenotypeStore:
    """Decoded weights by genotype number: of the present generation, or with *keep* of all generations."""

    def __init__(self, community: TaskPopulations, *, keep: bool) -> None:
        self._community, self._keep = community, keep
        self._restart()
        self.extend()

    def _restart(self) -> None:
        self._generations: list[Population] = []
        self._stages = np.zeros(len(self._community.tasks), np.int64)
        self.first_id = 0

    def extend(self) -> None:
        """Add the present generation of the community."""
        community = self._community
        archive = community.archive if isinstance(community, RecordCommunity) else None
        parts = [community.population.unevaluated()] + ([] if archive is None else [archive.population.unevaluated()])
        self._append(Population.concatenate(parts))

    @property
    def highest_stage(self) -> int:
        """The highest stage of a stored genotype."""
        return int(self._stages.max())

    def routing(self, ids: Ints) -> Routing:
        """Return the routing of genotype numbers *ids* (tasks, B) int64."""
        rows = torch.from_numpy(ids)
        return Routing(self._inputs[rows], self._output[rows], tuple(self._stages.tolist()))

    def routing_of(self, candidates: Population) -> Routing:
        """Return the routing of genotypes that are not stored, as many of each task, task after task."""
        community, tasks = self._community, len(self._stages)
        stages = stages_of(candidates, community.layout)
        found = routing_weights(community.weights(candidates), stages, community.growth.max_modules)
        inputs, output = (torch.from_numpy(part).reshape(tasks, -1, *part.shape[1:]) for part in found)
        return Routing(inputs, output, tuple(stages.reshape(tasks, -1).max(axis=1).tolist()))

    def uniform_routing(self) -> Routing:
        """Return equal weights for all inputs of every module of each task's stage, and for its output."""
        if self._uniform is None:
            self._uniform = self._equal_weights()
        return self._uniform

    def _equal_weights(self) -> Routing:
        community = self._community
        stages = community.stages
        zeros = np.zeros((len(stages), community.layout.length(int(stages.max())) // community.layout.precision), int)
        lengths = np.array([community.layout.length(int(stage)) for stage in stages])
        codes = from_gene_values(zeros, lengths, community.layout.precision)
        weights = decode_population(codes, community.layout)  # all codes equal: all weights equal
        return routing_of_weights(weights, stages, community.growth.max_modules)

    def _append(self, generation: Population) -> None:
        community = self._community
        self._uniform: Routing | None = None  # for the stages of the generation, made on first use
        weights = community.weights(generation)
        stages = stages_of(generation, community.layout)
        inputs, output = map(torch.from_numpy, routing_weights(weights, stages, community.growth.max_modules))
        used = self._highest(stages)
        if not self._keep or not self._generations:
            self._generations, self._inputs, self._output, self._stages = [generation], inputs, output, used
            return
        self.first_id = len(self._inputs)
        self._generations.append(generation)
        self._inputs, self._output = torch.cat([self._inputs, inputs]), torch.cat([self._output, output])
        # A stored genotype may have a stage that its task has left since, by shrinking or a rollback.
        self._stages = np.maximum(self._stages, used)

    def _highest(self, stages: Ints) -> Ints:
        """Return the highest stage of each task, (tasks,), of a generation's *stages*, its archive's included."""
        tasks, size = len(self._community.tasks), self._community.size
        highest = stages[: tasks * size].reshape(tasks, size).max(axis=1)
        archived = stages[tasks * size :]
        return np.maximum(highest, archived.reshape(tasks, -1).max(axis=1)) if len(archived) else highest

    def state_arrays(self) -> Arrays:
        """Return the genotypes of all generations by name; nothing without *keep*."""
        if not self._keep:
            return {}
        past = Population.concatenate(self._generations)
        return {"archive_words": past.words, "archive_lengths": past.lengths}

    def load_arrays(self, arrays: Arrays) -> None:
        """Restore :meth:`state_arrays`; ValueError if they do not fit."""
        if not self._keep:
            return
        present = self._generations[-1]
        words, lengths = arrays["archive_words"], arrays["archive_lengths"]
        state = {"words": words, "lengths": lengths, "fitness": np.full((len(words), 2), np.nan)}
        past = population_from_state({**state, "weights": list(present.weights)})
        if len(past) % len(present) or not len(past):
            raise ValueError(f"{len(past)} stored genotypes: expected generations of {len(present)}")
        if stages_of(past, self._community.layout).max() > self._community.growth.max_modules:
            raise ValueError("the stage of a stored genotype is above growth.max_modules")
        self._restart()
        for first in range(0, len(past), len(present)):
            self._append(past[first : first + len(present)])

    def check(self, lowest: int, highest: int) -> None:
        """Raise ValueError unless the weights of genotypes *lowest* to *highest* are stored."""
        if lowest < 0 or highest >= len(self._inputs):
            raise ValueError(
                f"transitions name genotypes {lowest} to {highest}; expected 0 to {len(self._inputs) - 1}"
            )


def routing_of_weights(weights: Doubles, stages: Ints, modules: int) -> Routing:
    """Return decoded weights (n, G) as the routing of n tasks with one genotype each, padded to *modules* modules."""
    inputs, output = map(torch.from_numpy, routing_weights(weights, stages, modules))
    return Routing(inputs[:, None], output[:, None], tuple(stages.tolist()))


def routing_weights(weights: Doubles, stages: Ints, modules: int) -> tuple[Floats, Floats]:
    """Return decoded weights (n, G) as dense inputs (n, modules - 1, modules) and outputs (n, modules + 1)."""
    n = len(weights)
    inputs = np.zeros((n, max(modules - 1, 1), modules), np.float32)
    output = np.zeros((n, modules + 1), np.float32)
    slices = StagedLayout(1).segments(int(stages.max()))
    for stage in np.unique(stages):
        rows = stages == stage
        for module, segment in enumerate(slices[: stage - 1], 2):
            inputs[rows, module - 2, :module] = weights[rows, segment]
        output[rows, : stage + 1] = weights[rows, slices[stage - 1]]
    return inputs, output
