"""Updates at the sizes that people run, by torch's operations and by compiled functions, beside their products alone.

``learner.py --sizes`` calls :func:`measure`. All have one thread, and times are CPU times. Agents start from equal
weights. In turns they make an update each, of random transitions and with another set of genotypes each time, as the
first rounds of a run have them. Their products are the matrix products of torch's update, with the same shapes and
random numbers. Two threads also share the update: half of the batch each or, with compiled functions, a loss each
(``sac.simultaneous``). That is wall time: a thread that waits for another one, or for its core, has no CPU time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from reporting import Measured, fastest
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from genoevo_mega import kernels
from genoevo_mega.agents.replay import Batch
from genoevo_mega.agents.sac import SacAgent
from genoevo_mega.agents.threads import ShardPool
from genoevo_mega.config.run import Config, build_config, preset
from genoevo_mega.networks import Routing
from genoevo_mega.training.build import make_agent, make_structure
from genoevo_mega.training.process import keep_freed_memory
from genoevo_runs.settings import merge

CORES = os.cpu_count() or 1
# The demo's sizes, with critics of the actor's form and the squared error, as it began, and with residual ones.
_SQUARED = {
    "critic": {"kind": "genotype", "task_embedding": 0},
    "value": {"loss": "squared", "twins": "minimum"},
    "normalise": {"rewards": False},
    "sac": {"simultaneous": False, "weight_decay": 0.0},
}
_RESIDUAL = merge(_SQUARED, {"critic": {"kind": "residual", "width": 128}})


class Case(NamedTuple):
    """A preset's learner, changed by settings, for a number of tasks."""

    preset: str
    tasks: int
    settings: dict[str, Any]


SIZES: dict[str, dict[str, Case]] = {
    "demo": {
        f"stage {stage}, {kind} critics": Case("demo", 6, merge(settings, {"genotypes": {"start_stage": stage}}))
        for stage in (3, 8)
        for kind, settings in (("genotype", _SQUARED), ("residual", _RESIDUAL), ("the demo's", {}))
    },
    "laptop": {f"stage {stage}": Case("laptop", 10, {"genotypes": {"start_stage": stage}}) for stage in (3, 6)},
    "preset-mt10": {"stage 3": Case("mt10", 10, {})},
}
# What two threads share: whether functions are compiled, and whether losses are simultaneous.
_SHARED = {"torch halves": (False, False), "halves": (True, False), "losses": (True, True)}
_TORCH, _COMPILED = ("torch wall", "torch halves"), ("compiled wall", "halves", "losses")
_PRODUCTS = {"bmm": torch.bmm, "baddbmm": torch.baddbmm, "mm": torch.mm}


class Suite:
    """The shapes of *tasks* tasks of Meta-World, without the simulator."""

    observation_size, action_size = 39, 4

    def __init__(self, tasks: int) -> None:
        self.names = tuple(f"task {number}" for number in range(tasks))


class _Operations(TorchDispatchMode):
    """Counts torch's operations, and keeps the shapes of those that are matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.products = 0, []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        name = function.overloadpacket.__name__
        if name in _PRODUCTS:
            self.products.append((name, [arg.shape for arg in args if isinstance(arg, Tensor)]))
        return function(*args, **(kwargs or {}))


class _Calls:
    """Counts the calls of compiled functions while it is entered."""

    def __enter__(self) -> _Calls:
        self.count, library = 0, kernels.kernels()
        self._own = {name: getattr(library, name) for name in kernels.FUNCTIONS}
        for name, function in self._own.items():
            setattr(library, name, self._counted(function))
        return self

    def _counted(self, function: Any) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            self.count += 1
            return function(*given)

        return call

    def __exit__(self, *error: object) -> None:
        for name, function in self._own.items():
            setattr(kernels.kernels(), name, function)


def configured(case: Case, computed_by: str) -> Config:
    """Return the config of a case."""
    compute = {"compute": {"threads": 1, "kernels": computed_by}}
    return build_config(preset(case.preset), case.settings, compute)


def transitions(config: Config, suite: Any) -> Batch:
    """Return a batch of random transitions."""
    shape = len(suite.names), config.sac.batch_size
    observations = torch.randn(2, *shape, suite.observation_size)
    actions = torch.rand(*shape, suite.action_size) * 2 - 1
    discounts, genotypes = torch.full(shape, config.sac.gamma), torch.zeros(shape, dtype=torch.int64)
    return Batch(observations[0], actions, torch.rand(*shape), observations[1], discounts, genotypes)


def updater(agent: SacAgent, batch: Batch, routings: list[Routing]) -> Callable[[], None]:
    """Return a function that makes an update with the next of the routings."""
    made = iter(range(10**9))

    def update() -> None:
        routing = routings[next(made) % len(routings)]
        agent.update(batch, routing, routing)

    return update


def products(found: list[tuple[str, list[torch.Size]]]) -> Callable[[], None]:
    """Return a function that makes matrix products of these shapes."""
    given = [(_PRODUCTS[name], [torch.randn(shape) for shape in shapes]) for name, shapes in found]

    def multiply() -> None:
        with torch.no_grad():
            for product, factors in given:
                product(*factors)

    return multiply


def _shared(
    config: Config, suite: Any, simultaneous: bool, batch: Batch, routings: list[Routing]
) -> Callable[[], None]:
    """Return a function that makes an update with two threads."""
    sac = config.sac.model_copy(update={"simultaneous": simultaneous})
    agent = make_agent(config.model_copy(update={"sac": sac}), suite)
    agent.executor.pool = ShardPool(2)
    return updater(agent, batch, routings)


def measured(case: Case, turns: int) -> dict[str, float]:
    """Return the figures of one case."""
    suite, rng = Suite(case.tasks), np.random.default_rng(0)
    configs = [configured(case, computed_by) for computed_by in ("torch", "compiled")]
    structure, batch = make_structure(configs[0], list(suite.names), 1), transitions(configs[0], suite)
    routings = [structure.update_routing(batch.genotypes, rng) for _ in range(64)]
    torch.set_num_threads(1)
    updates, counts = [], []
    for config in configs:
        agent = make_agent(config, suite)  # type: ignore[arg-type]
        update = updater(agent, batch, routings)
        update()
        with _Operations() as operations, _Calls() as calls:
            update()
        updates.append(update)
        counts.append((operations, calls.count))
    functions = *updates, products(counts[0][0].products)
    before, after, bare = fastest(turns, *functions, clock=time.process_time)
    ways = {"torch wall": updates[0], "compiled wall": updates[1]} | {
        name: _shared(configs[compiled], suite, simultaneous, batch, routings)
        for name, (compiled, simultaneous) in _SHARED.items()
    }
    walls = dict(zip(ways, fastest(turns, *ways.values()), strict=True))
    return {
        "torch ms": 1e3 * before,
        "compiled ms": 1e3 * after,
        "products ms": 1e3 * bare,
        **{f"{way} ms": 1e3 * wall for way, wall in walls.items()},
        "operations before": counts[0][0].count,
        "operations after": counts[1][0].count + counts[1][1],
    }


def measure(quick: bool, sizes: str) -> Measured:
    """Measure every case of *sizes*."""
    keep_freed_memory()
    found = {name: measured(case, 15 if quick else 60) for name, case in SIZES[sizes].items()}
    ratios = {}
    for name, figures in found.items():
        ratios[f"{name}: compiled vs torch"] = figures["torch ms"] / figures["compiled ms"]
        before, after = (min(figures[f"{way} ms"] for way in ways) for ways in (_TORCH, _COMPILED))
        ratios[f"{name}: on two cores"] = before / after
        ratios[f"{name}: rate of products"] = figures["products ms"] / figures["compiled ms"]
    torch.set_num_threads(CORES)
    return ratios, dict(found)
