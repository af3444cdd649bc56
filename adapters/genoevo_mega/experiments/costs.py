"""What the policies of genotypes cost, and what evolution has made of a run, as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genoevo import Population, StagedLayout
from genoevo.decode import decode_population, stages_of
from genoevo_mega.config.run import Config
from genoevo_mega.envs.suite import Suite
from genoevo_mega.evolution.frontiers import Member
from genoevo_mega.evolution.genotype_store import routing_of_weights
from genoevo_mega.evolution.structure import Structure
from genoevo_mega.experiments.logged import rounds_and_evaluations
from genoevo_mega.experiments.selection import SelectionLog
from genoevo_mega.experiments.sizes import Spaces
from genoevo_mega.networks import Routing
from genoevo_mega.networks.module_graph import THRESHOLD, ModuleGraph
from genoevo_mega.training.build import route_price
from genoevo_runs import files, metrics
from genoevo_runs.arrays import Doubles, Ints
from genoevo_runs.errors import UserError


@dataclass(frozen=True)
class Costed:
    """A genotype of a task with the ``modules`` of its exported policy, and its multiply-adds for one observation."""

    member: Member
    modules: int
    multiply_adds: int

    def as_json(self) -> dict[str, Any]:
        """Return all that is known, as JSON values."""
        member = self.member
        return {
            "bits": member.bits,
            "elite": member.elite,
            "multiply_adds": self.multiply_adds,
            "modules": self.modules,
            "estimate": member.success,
            "error": member.error,
            "age": member.age,
        }


def routing_of(config: Config, genotypes: Sequence[str]) -> Routing:
    """Return the routing of bit strings, one each of as many tasks."""
    return routing_of_weights(*_decoded(config, genotypes), config.growth.max_modules)


class Costs:
    """What the exported policies of genotypes cost in a run.

    *threshold* is :meth:`~genoevo_mega.networks.module_graph.ModuleGraph.of_task`'s.
    """

    def __init__(self, config: Config, suite: Suite | Spaces, threshold: float = THRESHOLD) -> None:
        self._config, self._threshold = config, threshold
        self._price = route_price(config, suite, threshold)

    def of(self, members: Sequence[Member]) -> list[Costed]:
        """Return the members of one task with their costs, the cheapest first; nothing for a fixed structure."""
        if self._price is None or not members:
            return []
        weights, stages = _decoded(self._config, [one.bits for one in members])
        routing = routing_of_weights(weights, stages, self._config.growth.max_modules)
        graphs = [ModuleGraph.of_task(routing, place, self._threshold) for place in range(len(members))]
        prices = self._price(weights, stages).tolist()
        found = [Costed(*each) for each in zip(members, (len(graph.inputs) for graph in graphs), prices, strict=True)]
        return sorted(found, key=lambda one: (one.multiply_adds, one.member.elite))


def _decoded(config: Config, genotypes: Sequence[str]) -> tuple[Doubles, Ints]:
    layout, rule = StagedLayout(config.genotypes.precision), config.decoding
    population = Population.from_genotypes(genotypes)
    weights = decode_population(population, layout, rule.offset, rule.decimal_scale, kind=rule.kind)
    return weights, stages_of(population, layout)


def evolved(
    directory: Path, config: Config, structure: Structure, suite: Spaces | None, steps: int
) -> dict[str, Any]:
    """Return what evolution has made of a run until *steps*; nulls for a structure that does not evolve.

    ``module_shares``: by task, each module's share of the elite's output. ``frontier``: by task, the settled
    genotypes and the elite, the cheapest first, as :meth:`Costed.as_json` gives them; null without
    ``frontier.size``, or if *suite* is None. ``selection``: see
    :meth:`~genoevo_mega.experiments.selection.SelectionLog.summary`; null if ``metrics.jsonl`` cannot be read.
    """
    if config.architecture != "mega":
        return {"module_shares": None, "frontier": None, "selection": None}
    routing, tasks, frontier = structure.elite_routing(), structure.tasks, None
    if config.frontier.size and suite is not None:
        costs = Costs(config, suite)
        found = {name: costs.of(structure.members(task)) for task, name in enumerate(tasks)}
        frontier = {name: [one.as_json() for one in of_task] for name, of_task in found.items()}
    return {
        "module_shares": {name: _shares(routing, task) for task, name in enumerate(tasks)},
        "frontier": frontier,
        "selection": _selection(directory, config, steps),
    }


def _shares(routing: Routing, task: int) -> list[float]:
    shares = ModuleGraph.of_task(routing, task).shares()
    return [round(shares.get(module, 0.0), 4) for module in range(1, routing.stages[task] + 1)]


def _selection(directory: Path, config: Config, steps: int) -> dict[str, Any] | None:
    path = directory / metrics.METRICS
    with suppress(UserError), files.reading(path):
        rounds = [one for one in rounds_and_evaluations(path, metrics.read(path))[0] if one["step"] <= steps]
        log = SelectionLog.of_records(rounds)
        return log and log.summary(config.selection.rule)
    return None
