"""The training loop, to be read from top to bottom.

One turn of the loop is one vector step: every task acts once with the genotype that drives its episode, the learner
makes its updates, and where every genotype has driven its episodes the community has a round and may grow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genoevo import Community
from genoevo.state import generator_from_state, generator_state
from genoevo_mega import checkpoint
from genoevo_mega.clock import Clock
from genoevo_mega.config import Config
from genoevo_mega.episodes import Episodes
from genoevo_mega.evaluation import Estimate, evaluate, greedy
from genoevo_mega.evolve import Evolver
from genoevo_mega.metrics import MetricsWriter
from genoevo_mega.networks import ModularNetwork
from genoevo_mega.replay import Replay
from genoevo_mega.rollout import RolloutPool
from genoevo_mega.sac import Agent
from genoevo_mega.tasks import MetaWorldSuite, Suite, metaworld_names

_STREAMS = ("goals", "random_actions", "replay", "update_genotypes", "community", "agent")


class DivergedError(Exception):
    """A loss is no longer finite."""


@dataclass
class Status:
    """What a display shows: refreshed after every vector step, replaced at each round."""

    steps: int
    updates: int
    target: int
    seconds: float
    tasks: list[str]
    stages: list[int]
    effective_modules: list[int]
    success: list[float | None] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


class Trainer:
    """Everything that one run consists of.

    Parameters
    ----------
    config
        The resolved config.
    directory
        The run directory, already made; metrics and checkpoints go there.
    observer
        Called after every vector step with the run's :class:`Status`.

    """

    def __init__(
        self, config: Config, directory: Path, observer: Callable[[Status], None] = lambda status: None
    ) -> None:
        torch.set_num_threads(config.machine.threads)
        self.config, self.directory, self._observe = config, directory, observer
        self.suite = make_suite(config)
        tasks = len(self.suite.names)
        seeds = dict(zip(_STREAMS, np.random.SeedSequence(config.seed).spawn(len(_STREAMS)), strict=True))
        self.rngs = {name: np.random.default_rng(seeds[name]) for name in _STREAMS[:4]}
        self.evolver = Evolver.fresh(config, list(self.suite.names), int(seeds["community"].generate_state(1)[0]))
        self.agent = make_agent(config, self.suite, config.genotypes.start_stage)
        length = config.environment.episode_length
        sizes = self.suite.observation_size, self.suite.action_size
        self.replay = Replay(tasks, config.sac.buffer_size // tasks, *sizes, length)
        self.episodes = Episodes(tasks, length, self.suite.action_size, self.suite.goals, self.rngs["goals"])
        self.steps = 0
        self.rounds = 0
        self.losses = _Mean()
        self.evaluated: list[Estimate] | None = None
        self.clock = Clock()
        self.stop_requested = False
        self._metrics: MetricsWriter | None = None
        self._pool: RolloutPool | None = None
        self.status = self._status([None] * tasks)

    # ---------------------------------------------------------------- the loop

    def run(self, steps: int) -> bool:
        """Train until *steps* environment steps, or until :attr:`stop_requested`; whether it got there.

        Either way the state is saved.
        """
        self.status.target = steps
        with RolloutPool(self.suite, self.config.machine.workers) as self._pool:
            self._open_metrics()
            try:
                with self.clock("simulator"):
                    self.episodes.restore(self._pool)
                while self.steps < steps and not self.stop_requested:
                    self._vector_step()
                    self._updates()
                    if self.evolver.due:
                        self._round()
                    if self._every(self.config.evaluation.every):
                        self._evaluate()
                        self.episodes.restore(self._pool)
                    if self._every(self.config.machine.checkpoint_every):
                        self.save()
                    self._refresh_status()
                finished = self.steps >= steps
                if finished and self.config.evaluation.at_end:
                    self._evaluate()
                self.save()
            finally:
                self._metrics.close()
        return finished

    def _vector_step(self) -> None:
        with self.clock("acting"):
            actions = self._actions()
        transition = self._simulate(lambda pool: pool.step(actions))
        observations, genotypes = self.episodes.observations, self.evolver.genotype_ids()
        ended = self.episodes.advance(actions, transition)
        with self.clock("replay"):
            last = np.zeros(len(genotypes), np.bool_)
            if ended is not None:
                last[ended.tasks] = True
            self.replay.add(
                observations,
                actions,
                transition.rewards,
                transition.observations,
                transition.terminated,
                last,
                genotypes,
            )
        self.steps += len(genotypes)
        if ended is not None:
            self.evolver.record(ended)
            self._simulate(lambda pool: self.episodes.begin(ended.tasks, pool))

    def _actions(self) -> np.ndarray:
        if self._vector_steps <= self.config.sac.random_steps:
            shape = len(self.suite.names), self.suite.action_size
            return self.rngs["random_actions"].uniform(-1, 1, shape).astype(np.float32)
        return self.agent.act(torch.from_numpy(self.episodes.observations), self.evolver.acting()).numpy()

    def _updates(self) -> None:
        learning = self._vector_steps - self.config.sac.random_steps
        if learning <= 0:
            return
        per_step = self.config.sac.updates_per_step
        for _ in range(int(learning * per_step) - int((learning - 1) * per_step)):
            with self.clock("replay"):
                batch = self.replay.sample(self.config.sac.batch_size, self.rngs["replay"])
            with self.clock("learning"):
                routing = self.evolver.updating(batch.genotypes, self.rngs["update_genotypes"])
                self.losses.add(self.agent.update(batch, routing))

    def _round(self) -> None:
        with self.clock("evolving"):
            returns = (self.evolver.returns / self.evolver.episodes).mean(axis=1)
            outcome, performance = self.evolver.evolve()
            self.rounds += 1
            stages = self.evolver.community.stages
            while len(self.agent.actor.pool) < stages.max():
                self.agent.grow()
        losses = self.losses.take()
        if not all(np.isfinite(value) for value in losses.values()):
            raise DivergedError(f"a loss is not finite at step {self.steps}: {losses}")
        effective = outcome.effective_modules[np.arange(len(stages)), outcome.elites]
        success = performance.mean(axis=1)
        names = self.suite.names
        self.metrics.write(
            {
                "kind": "round",
                "step": self.steps,
                "round": self.rounds,
                "updates": self.agent.updates,
                "success": dict(zip(names, success.tolist(), strict=True)),
                "return": dict(zip(names, returns.tolist(), strict=True)),
                "stage": dict(zip(names, stages.tolist(), strict=True)),
                "effective_modules": dict(zip(names, effective.tolist(), strict=True)),
                "temperature": dict(zip(names, self.agent.log_temperature.detach().exp().tolist(), strict=True)),
                "pool_size": len(self.agent.actor.pool),
                "losses": losses,
            }
        )
        self.metrics.write_time({"step": self.steps, **self.clock.snapshot()})
        self.status = self._status(success.tolist())
        for verb, changed in (("grew", outcome.grown), ("shrank", outcome.shrunk)):
            self.status.events += [f"{names[task]} {verb} to stage {stages[task]}" for task in changed]

    def _evaluate(self) -> None:
        policy = greedy(self.agent, self.evolver.elite())
        settings = self.config.evaluation
        self.evaluated = self._simulate(
            lambda pool: evaluate(pool, policy, settings.episodes, self.config.environment.episode_length)
        )
        success = [estimate.success for estimate in self.evaluated]
        self.metrics.write(
            {
                "kind": "evaluation",
                "step": self.steps,
                "episodes": settings.episodes,
                "greedy_success": dict(zip(self.suite.names, success, strict=True)),
            }
        )

    # ---------------------------------------------------------------- helpers of the loop

    @property
    def _vector_steps(self) -> int:
        return self.steps // len(self.suite.names)

    @property
    def metrics(self) -> MetricsWriter:
        """The open metrics files; only while running."""
        assert self._metrics is not None
        return self._metrics

    def _simulate(self, action: Callable[[RolloutPool], Any]) -> Any:
        pool = self._pool
        assert pool is not None
        simulator, transport = pool.simulator_seconds, pool.transport_seconds
        result = action(pool)
        self.clock.claim("simulator", pool.simulator_seconds - simulator)
        self.clock.claim("transport", pool.transport_seconds - transport)
        return result

    def _every(self, interval: int) -> bool:
        tasks = len(self.suite.names)
        return interval > 0 and self.steps // interval > (self.steps - tasks) // interval

    def _status(self, success: list[float | None]) -> Status:
        community = self.evolver.community
        return Status(
            steps=self.steps,
            updates=self.agent.updates,
            target=self.status.target if hasattr(self, "status") else 0,
            seconds=self.clock.wall,
            tasks=list(self.suite.names),
            stages=community.stages.tolist(),
            effective_modules=community.effective_modules()[:, 0].tolist(),
            success=success,
        )

    def _refresh_status(self) -> None:
        self.status.steps, self.status.updates = self.steps, self.agent.updates
        self.status.seconds = self.clock.wall
        self._observe(self.status)
        self.status.events.clear()

    def _open_metrics(self) -> None:
        offset = getattr(self, "_metrics_offset", 0)
        self._metrics = MetricsWriter(self.directory, offset, self.steps)

    # ---------------------------------------------------------------- state

    def save(self) -> None:
        """Write a checkpoint of everything."""
        with self.clock("checkpointing"):
            self._metrics_offset = self.metrics.offset
            arrays = {f"episodes/{k}": v for k, v in self.episodes.state_arrays().items()}
            arrays |= {f"evolver/{k}": v for k, v in self.evolver.state_arrays().items()}
            checkpoint.save(
                self.directory,
                agent=self.agent,
                community=self.evolver.community.state_dict(),
                replay=self.replay.state_arrays(),
                arrays=arrays,
                state={
                    "steps": self.steps,
                    "rounds": self.rounds,
                    "updates": self.agent.updates,
                    "pool_size": len(self.agent.actor.pool),
                    "parameters": {
                        "actor": self.agent.actor.parameter_count,
                        "critics": self.agent.critics.parameter_count,
                    },
                    "replay_bytes": self.replay.nbytes,
                    "metrics_offset": self._metrics_offset,
                    "rngs": {name: generator_state(rng) for name, rng in self.rngs.items()},
                    "losses": self.losses.state(),
                    "time": self.clock.snapshot(),
                    "success": self.status.success,
                    "evaluated": None if self.evaluated is None else [e.success for e in self.evaluated],
                },
            )

    def load(self, path: Path) -> None:
        """Take up a checkpoint, exactly."""
        state = checkpoint.read_state(path)
        community = Community.from_state(checkpoint.read_community(path))
        self.evolver = Evolver(community, self.config)
        for _ in range(state["pool_size"] - len(self.agent.actor.pool)):
            self.agent.grow()
        checkpoint.load_agent(path, self.agent)
        replay, arrays = checkpoint.read_arrays(path)
        self.replay.load_arrays(replay)
        self.episodes.load_arrays(_under("episodes/", arrays))
        self.evolver.load_arrays(_under("evolver/", arrays))
        for name, rng_state in state["rngs"].items():
            self.rngs[name].bit_generator.state = generator_from_state(rng_state).bit_generator.state
        self.steps, self.rounds, self.agent.updates = state["steps"], state["rounds"], state["updates"]
        self.losses = _Mean.from_state(state["losses"])
        self.clock = Clock(state["time"])
        self._metrics_offset = state["metrics_offset"]
        self.status = self._status(state["success"])


class _Mean:
    """Running means of the losses since they were last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._count = 0

    def add(self, values: dict[str, torch.Tensor]) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += 1

    def take(self) -> dict[str, float]:
        means = {name: float(value) / self._count for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return means

    def state(self) -> dict[str, Any]:
        return {"count": self._count, "sums": {name: float(value) for name, value in self._sums.items()}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> _Mean:
        mean = cls()
        mean._count = state["count"]
        # float32 sums survive JSON's float64 unchanged.
        mean._sums = {name: torch.tensor(value) for name, value in state["sums"].items()}
        return mean


def _under(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def make_suite(config: Config) -> Suite:
    """The config's tasks."""
    environment = config.environment
    return MetaWorldSuite(metaworld_names(config.suite), config.seed, environment.goals, environment.reward_version)


def make_agent(config: Config, suite: Suite, modules: int) -> Agent:
    """A fresh agent with that many modules, its weights drawn from the config's seed."""
    rng = torch.Generator().manual_seed(config.seed)

    def network(inputs: int, outputs: int, ensemble: int) -> ModularNetwork:
        return ModularNetwork(
            inputs,
            outputs,
            tasks=len(suite.names),
            modules=modules,
            ensemble=ensemble,
            config=config.network,
            rng=rng,
        )

    return Agent(network, suite.observation_size, suite.action_size, len(suite.names), config.sac, rng)
