"""Compare the updates of the learner with a plain per-module implementation, and with matrix products alone.

    python benchmarks/learner.py [--sizes mt10|demo|laptop|preset-mt10] [--quick] [--json]

The plain learner below is the same soft actor-critic, written module by module. Every module runs for all tasks,
every sum of inputs is stacked and multiplied, each critic and target runs separately, and autograd does the rest. The
learners take turns. Each makes updates of 10 x 128 transitions, with the sizes of the preset mt10. The rate of matrix
products is measured with 2048 x 2048 fp32 matrices in the same run. With other sizes, updates of this learner by
torch's operations and by compiled functions take turns instead (``sizes.py``).
"""

from __future__ import annotations

import math
import os

# As the command line sets it: a spinning thread takes the core from the thread that it waits for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import sizes as small
import torch
from reporting import Measured, fastest, report
from torch import Tensor, nn

from genoevo import Population, StagedLayout
from genoevo.decode import decode_population
from genoevo_mega.agents.distribution import LOG_STD_MAX, LOG_STD_MIN
from genoevo_mega.agents.replay import Batch
from genoevo_mega.agents.sac import SacAgent
from genoevo_mega.agents.threads import useful_threads
from genoevo_mega.config.networks import Network
from genoevo_mega.config.sac import Sac
from genoevo_mega.config.training import Compute
from genoevo_mega.evolution.genotype_store import routing_weights
from genoevo_mega.networks import ModularNetwork, Routing
from genoevo_mega.training.process import keep_freed_memory

OBSERVATIONS, ACTIONS, BATCH = 39, 4, 128
SIZES = Network()
CORES = os.cpu_count() or 1


class PlainNetwork(nn.Module):
    """The modular network, computed one module after the other."""

    def __init__(self, inputs: int, outputs: int, tasks: int, modules: int) -> None:
        super().__init__()
        self.embedding = nn.Sequential(
            nn.Linear(inputs + tasks, SIZES.width), nn.ReLU(), nn.Linear(SIZES.width, SIZES.width), nn.ReLU()
        )
        self.pool = nn.ModuleList(
            nn.Sequential(
                nn.Linear(SIZES.width, SIZES.hidden), nn.ReLU(), nn.Linear(SIZES.hidden, SIZES.width), nn.ReLU()
            )
            for _ in range(modules)
        )
        self.head = nn.Linear(SIZES.width, outputs)
        self.register_buffer("one_hot", torch.eye(tasks)[:, None])

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """Map (tasks, batch, inputs) to (tasks, batch, outputs)."""
        tasks, batch = x.shape[:2]
        hidden = [self.embedding(torch.cat([x, self.one_hot.expand(tasks, batch, -1)], dim=-1))]
        for k, module in enumerate(self.pool, 1):
            mixed = hidden[0]
            if k > 1:
                mixed = (torch.stack(hidden, dim=-1) * routing.inputs[:, :, None, k - 2, :k]).sum(-1)
            hidden.append(module(mixed))
        return self.head((torch.stack(hidden, dim=-1) * routing.output[:, :, None, : len(hidden)]).sum(-1))


class PlainLearner:
    """Soft actor-critic on plain networks, with the same losses, steps and clipping as ours."""

    def __init__(self, tasks: int, modules: int, config: Sac) -> None:
        self.config = config
        self.actor = PlainNetwork(OBSERVATIONS, 2 * ACTIONS, tasks, modules)
        self.critics, self.targets = (
            [PlainNetwork(OBSERVATIONS + ACTIONS, 1, tasks, modules) for _ in range(2)] for _ in range(2)
        )
        self.log_temperature = nn.Parameter(torch.zeros(tasks))
        critics = [p for critic in self.critics for p in critic.parameters()]
        groups = (list(self.actor.parameters()), critics, [self.log_temperature])
        self.adams = [torch.optim.Adam(group, lr=config.learning_rate) for group in groups]

    def sample(self, observations: Tensor, routing: Routing) -> tuple[Tensor, Tensor]:
        """Return actions and their log-probabilities."""
        mean, log_std = self.actor(observations, routing).chunk(2, dim=-1)
        normal = torch.distributions.Normal(mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX).exp())
        raw = normal.rsample()
        squash = 2 * (math.log(2) - raw - nn.functional.softplus(-2 * raw))
        return torch.tanh(raw), (normal.log_prob(raw) - squash).sum(-1)

    def update(self, batch: Batch, routing: Routing) -> None:
        """Make a gradient step of critics, actor and temperatures, then update the targets."""
        actor_adam, critic_adam, temperature_adam = self.adams
        temperature = self.log_temperature.detach().exp()[:, None]
        with torch.no_grad():
            action, log_prob = self.sample(batch.next_observations, routing)
            joined = torch.cat([batch.next_observations, action], dim=-1)
            future = torch.minimum(*(target(joined, routing)[..., 0] for target in self.targets))
            td_target = batch.rewards + batch.discounts * (future - temperature * log_prob)
        joined = torch.cat([batch.observations, batch.actions], dim=-1)
        loss = sum((critic(joined, routing)[..., 0] - td_target).square().mean() for critic in self.critics)
        self.descend(critic_adam, loss, [p for critic in self.critics for p in critic.parameters()])
        action, log_prob = self.sample(batch.observations, routing)
        joined = torch.cat([batch.observations, action], dim=-1)
        value = torch.minimum(*(critic(joined, routing)[..., 0] for critic in self.critics))
        self.descend(actor_adam, (temperature * log_prob - value).mean(), list(self.actor.parameters()))
        excess = (log_prob.detach() - ACTIONS).mean(dim=1)
        self.descend(temperature_adam, -(self.log_temperature * excess).sum(), [])
        with torch.no_grad():
            for critic, target in zip(self.critics, self.targets, strict=True):
                for mine, theirs in zip(target.parameters(), critic.parameters(), strict=True):
                    mine.lerp_(theirs, self.config.tau)

    def descend(self, adam: torch.optim.Adam, loss: Any, clipped: list[nn.Parameter]) -> None:
        """Make a step of one optimiser."""
        adam.zero_grad()
        loss.backward()
        if clipped:
            nn.utils.clip_grad_norm_(clipped, self.config.gradient_clip)
        adam.step()


def routing(stages: list[int], pool: int) -> Routing:
    """Return the routing of random genotypes of the given stages."""
    layout, rng = StagedLayout(2), np.random.default_rng(1)
    inputs, outputs = [], []
    for stage in stages:
        genotype = Population.random(1, layout.length(stage), rng)
        dense = routing_weights(decode_population(genotype, layout), np.array([stage]), pool)
        inputs.append(torch.from_numpy(dense[0]))
        outputs.append(torch.from_numpy(dense[1]))
    return Routing(torch.stack(inputs), torch.stack(outputs), tuple(stages))


def ours(
    tasks: int, pool: int, precision: torch.dtype = torch.float32, threads: int = 1, device: str = "cpu"
) -> SacAgent:
    """Return our agent with a pool of *pool* modules."""
    rng = torch.Generator().manual_seed(1)

    def network(inputs: int, outputs: int, ensemble: int) -> ModularNetwork:
        settings = {"tasks": tasks, "modules": pool, "ensemble": ensemble, "config": SIZES, "precision": precision}
        return ModularNetwork(inputs, outputs, rng=rng, **settings)

    return SacAgent(network, OBSERVATIONS, ACTIONS, tasks, Sac(), rng, threads=threads, device=torch.device(device))


def transitions(tasks: int, batch: int = BATCH) -> Batch:
    """Return a batch of random transitions."""
    shape = tasks, batch
    observations = torch.randn(2, *shape, OBSERVATIONS)
    rest = torch.rand(*shape), observations[1], torch.full(shape, 0.99), torch.zeros(shape, dtype=torch.int64)
    return Batch(observations[0], torch.rand(*shape, ACTIONS) * 2 - 1, *rest)


def updater(
    stages: list[int], precision: torch.dtype = torch.float32, transitions_per_task: int = BATCH
) -> Callable[[], Any]:
    """Return a function that makes our update for tasks of these stages."""
    threads = useful_threads(CORES, transitions_per_task, Compute().smallest_shard)
    agent = ours(len(stages), max(stages), precision, threads)
    batch, weights = transitions(len(stages), transitions_per_task), routing(stages, max(stages))

    def update() -> None:
        torch.set_num_threads(max(1, CORES // threads))
        agent.update(batch, weights, weights)
        torch.set_num_threads(CORES)

    return update


def operations(stages: list[int]) -> float:
    """Return the floating-point operations in the matrix products of one update."""
    return ours(len(stages), max(stages)).operations(tuple(stages))


def memory_growth(updates: int) -> float:
    """Return the megabytes by which the process grows over *updates* small updates, on one thread."""
    torch.set_num_threads(1)
    agent, batch, weights = ours(2, 3), transitions(2, 8), routing([2, 3], 3)
    for _ in range(200):
        agent.update(batch, weights, weights)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(updates):
        agent.update(batch, weights, weights)
    torch.set_num_threads(CORES)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def has_bf16() -> bool:
    """Return whether this CPU multiplies bf16 numbers in hardware."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def rounding(stages: list[int], turns: int) -> float:
    """Return how many times faster an update is in bf16; with few transitions if the CPU has to emulate it."""
    size, turns = (BATCH, turns) if has_bf16() else (BATCH // 16, 1)
    exact, rounded = (updater(stages, precision, size) for precision in (torch.float32, torch.bfloat16))
    spent = fastest(turns, exact, rounded)
    return spent[0] / spent[1]


def on_gpu(stages: list[int], updates: int) -> list[dict[str, Any]]:
    """Return updates per second on a CUDA device by precision, as one graph and kernel by kernel."""
    rows = []
    for precision in ("fp32", "tf32", "bf16"):
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        for graph in (True, False):
            agent = ours(len(stages), max(stages), dtype, device="cuda")
            if not graph:
                agent._step = agent._gradient_step
            batch, weights = transitions(len(stages)), routing(stages, max(stages))
            for warm in (10, updates):
                begin = time.perf_counter()
                for _ in range(warm):
                    agent.update(batch, weights, weights)
                torch.cuda.synchronize()
            bits = 16 if precision == "bf16" else 19 if precision == "tf32" else 32
            rows.append({"bits": bits, "graph": graph, "updates/s": updates / (time.perf_counter() - begin)})
    torch.set_float32_matmul_precision("highest")
    return rows


def measure(quick: bool, sizes: str) -> Measured:
    """Measure everything, on all cores."""
    if sizes != "mt10":
        return small.measure(quick, sizes)
    torch.set_num_threads(CORES)
    keep_freed_memory()
    turns = 6 if quick else 15
    stages = [6] * 10
    plain, batch, weights = PlainLearner(10, 6, Sac()), transitions(10), routing(stages, 6)
    matrix = torch.randn(2048, 2048)
    mixed = [3, 3, 4, 4, 4, 5, 5, 5, 6, 6]
    functions = (
        updater(stages),
        lambda: plain.update(batch, weights),
        lambda: matrix @ matrix,
        updater(mixed),
    )
    full, naive, product, some = fastest(turns, *functions)
    peak = 2 * 2048**3 / product
    ratios = {
        "fp32_vs_plain": naive / full,
        "fp32_of_gemm": operations(stages) / full / peak,
        "bf16_vs_fp32": rounding(stages, turns),
        "mixed_time_vs_modules_used": (some / full) / (operations(mixed) / operations(stages)),
    }
    figures: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "CPU has bf16": float(has_bf16()),
        "matrix product GFLOP/s": peak / 1e9,
        "ours updates/s": 1 / full,
        "plain updates/s": 1 / naive,
        "ours GFLOP/s": operations(stages) / full / 1e9,
    }
    if torch.cuda.is_available():
        figures["CUDA device"] = on_gpu([3] * 10, updates=200 if quick else 2000)
    if not quick:
        figures["memory growth MB over 10,000 updates"] = memory_growth(10_000)
        figures["pool size"] = table([[n] * 10 for n in (1, 2, 4, 8, 16, 32)], peak)
        figures["tasks"] = table([[3] * n for n in (10, 50, 200)], peak)
    return ratios, figures


def table(cases: list[list[int]], peak: float) -> list[dict[str, float]]:
    """Return a row for each list of stages."""
    rows = []
    for stages in cases:
        [spent] = fastest(3, updater(stages))
        share = operations(stages) / spent / peak
        rows.append({"tasks": len(stages), "modules": max(stages), "ms": 1e3 * spent, "of products": share})
    return rows


if __name__ == "__main__":
    report(__doc__.partition("\n")[0], measure, ("mt10", *small.SIZES))
