"""The training loop, to be read from top to bottom.

One turn of the loop is one vector step: every task acts once with the genotype that drives its episode, the learner
makes its updates, and where every genotype has driven its episodes the community has a round and may grow.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genoevo_mega.agents import gradient_conflict
from genoevo_mega.agents.replay import Batch
from genoevo_mega.config.run import Config
from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.suite import first_goal
from genoevo_mega.networks import Routing
from genoevo_mega.training import checkpoint
from genoevo_mega.training.build import make_state
from genoevo_mega.training.checkpoint_files import CHECKPOINT
from genoevo_mega.training.errors import DivergedError
from genoevo_mega.training.evaluation import evaluate, greedy
from genoevo_mega.training.memory_check import check_memory
from genoevo_mega.training.process import keep_freed_memory
from genoevo_mega.training.status import Status
from genoevo_mega.training.throughput import measure_matrix_rate
from genoevo_runs.arrays import Flags, Floats
from genoevo_runs.checkpoint_store import CheckpointStore
from genoevo_runs.errors import ConfigError
from genoevo_runs.lock import locked
from genoevo_runs.loggers import check_loggers
from genoevo_runs.metrics import MetricsWriter

# On a GPU, asking how many updates were skipped waits for all of them.
_CHECK_EVERY = 100


@contextmanager
def _saying_how_to_go_on(resume: str) -> Iterator[None]:
    try:
        yield
    except RolloutError as error:
        message = f"{error}; {resume} continues from the last checkpoint"
        raise RolloutError(message) from error


class Trainer:
    """Everything that one run consists of.

    Parameters
    ----------
    config
        The resolved config.
    directory
        The run directory, there when :meth:`run` is called; metrics and checkpoints go into it.
    observer
        Called after every vector step, and every episode of an evaluation, with the run's :class:`Status`.

    """

    def __init__(
        self, config: Config, directory: Path, observer: Callable[[Status], None] = lambda status: None
    ) -> None:
        check_loggers(config.loggers)
        keep_freed_memory()
        self.config, self.directory, self._observe = config, directory, observer
        self._resume = f"genoevo mega resume {directory}"
        self.suite = make_suite(config)
        check_memory(config, self.suite)
        names = list(self.suite.names)
        if config.sac.conflict_every and len(names) < 2:
            raise ConfigError(f"sac.conflict_every = {config.sac.conflict_every}: one task has none to conflict with")
        self.state = make_state(config, self.suite)
        self.status = Status(tasks=names)
        self.stop_requested = False

    # ------------------------------------------------------------------------------------------------ the loop

    def run(self, steps: int) -> bool:
        """Train until *steps* environment steps or the end of the time budget; False where it was stopped before.

        Either way the state is saved. :attr:`stop_requested` stops after the present vector step. Raises
        DivergedError where gradients are no longer finite, RolloutError where rollouts fail more than
        ``faults.limit`` allows, StorageError where the directory cannot be written; the last checkpoint is
        then as it was.
        """
        settings = self.config
        deadline = time.monotonic() + 60 * (settings.schedule.time_limit_minutes or math.inf)
        self.status.target = steps
        self._describe_tasks()
        torch.set_num_threads(settings.compute.threads)
        self.state.work.matrix_rate = measure_matrix_rate(self.state.agent.device)
        torch.set_num_threads(max(1, settings.compute.threads // self.state.agent.shards))
        with (
            locked(self.directory),
            _saying_how_to_go_on(self._resume),
            RolloutPool(
                self.suite,
                settings.compute.workers,
                groups=1 + settings.schedule.double_buffering,
                timeout=settings.faults.worker_timeout,
                fault_limit=settings.faults.limit,
            ) as self.pool,
            # First: it refuses a state that is no longer the newest, before any metrics are cut off.
            CheckpointStore(
                self.directory,
                CHECKPOINT,
                settings.checkpoints.keep,
                self.state.loaded,
                self._resume,
                checkpoint.of_version_2,
            ) as self.checkpoints,
            MetricsWriter(
                self.directory,
                settings.loggers,
                settings.model_dump(mode="json"),
                self.state.metrics_offset,
                self.state.steps,
                resume=self._resume,
            ) as self.metrics,
        ):
            self._simulate(self.state.episodes.restore)
            over = self.state.steps >= steps
            while not self.stop_requested:
                if self.state.evaluation_due:
                    self._evaluate()
                if over:
                    break
                self._vector_step()
                if self.state.evolver.due:
                    self._round()
                over = self.state.steps >= steps or time.monotonic() >= deadline
                self.state.evaluation_due = (over and settings.evaluation.at_end) or self._passed(
                    settings.evaluation.every
                )
                if self._passed(settings.checkpoints.every) and (self.state.evaluation_due or not over):
                    self.save()
                self.checkpoints.check()
                self._show()
            self.save()
            self.checkpoints.wait()
        return over and not self.state.evaluation_due

    def _vector_step(self) -> None:
        observations, genotypes = self.state.episodes.observations, self.state.evolver.genotype_ids()
        busy = self.pool.busy_seconds
        actions = self._begin_step(observations)
        if self.config.schedule.update_lag:
            self._updates()
        transition = self._simulate(lambda pool: pool.finish_step())
        ended = self.state.episodes.advance(actions, transition)
        with self.state.clock("replay"):
            self.state.replay.add(observations, actions, transition, ended.mask, genotypes)
        self.state.steps += len(genotypes)
        if len(ended.tasks):
            # Random actions show nothing of a genotype.
            began = self._vector_steps - self.state.episodes.taken[ended.tasks]
            self.state.evolver.record_episodes(ended.only(began >= self.config.sac.random_steps))
        self._simulate(lambda pool: self._begin_episodes(pool, ended.mask))
        self.state.work.rollout_seconds += self.pool.busy_seconds - busy
        if not self.config.schedule.update_lag:
            self._updates()

    def _begin_step(self, observations: Floats) -> Floats:
        # With two groups, the first one steps while actions of the second are computed.
        actions = np.zeros((len(observations), self.suite.action_size), np.float32)
        for group, tasks in enumerate(self.pool.groups):
            with self.state.clock("acting"):
                actions[tasks] = self._actions(observations)[tasks]
            self._simulate(lambda pool, group=group, tasks=tasks: pool.begin_step(actions[tasks], group=group))
        return actions

    def _begin_episodes(self, pool: RolloutPool, ended: Flags) -> None:
        due = ended | pool.lost
        while due.any():  # a reset can lose episodes as well
            self.state.replay.cut(np.flatnonzero(pool.lost & (self.state.episodes.taken > 0)))
            self.state.evolver.start_episodes(np.flatnonzero(due))
            self.state.episodes.begin(np.flatnonzero(due), pool, self._first_goal)
            due = pool.lost.copy()
        self._report_faults()

    def _report_faults(self) -> None:
        for fault in self.pool.take_faults():
            tasks = list(fault.tasks)
            self.metrics.write(
                {
                    "kind": "fault",
                    "step": self.state.steps,
                    "worker": fault.worker,
                    "reason": fault.reason,
                    "tasks": tasks,
                }
            )
            self.status.events.append(
                f"rollout worker {fault.worker}: {fault.reason}; episodes begin anew: {', '.join(tasks)}"
            )

    def _actions(self, observations: Floats) -> Floats:
        sac = self.config.sac
        if self._vector_steps < sac.random_steps:
            if self._vector_steps % sac.random_action_repeat:
                return self.state.episodes.last_actions
            shape = len(observations), self.suite.action_size
            return self.state.rngs["random_actions"].uniform(-1, 1, shape).astype(np.float32)
        return self.state.agent.act(torch.from_numpy(observations), self.state.evolver.acting_routing()).numpy()

    def _updates(self) -> None:
        sac, newest = self.config.sac, max(0, self.config.schedule.update_lag - 1)
        learning = self._vector_steps - newest - sac.random_steps
        if learning <= 0 or not self.state.replay.ready(newest):
            return
        for _ in range(int(learning * sac.updates_per_step) - int((learning - 1) * sac.updates_per_step)):
            with self.state.clock("replay"):
                batch = self.state.replay.sample(
                    sac.batch_size, self.state.rngs["replay"], gamma=sac.gamma, steps=sac.n_step, newest=newest
                )
            with self.state.clock("learning"):
                # A genotype decides the modules of its task's actor and critics alike.
                actor_routing = critic_routing = self.state.evolver.update_routing(
                    batch.genotypes, self.state.rngs["update_genotypes"]
                )
                if sac.conflict_every and self.state.agent.updates % sac.conflict_every == 0:
                    self._measure_conflict(batch, actor_routing, critic_routing)
                self.state.losses.add(self.state.agent.update(batch, actor_routing, critic_routing))
                self.state.evolver.step_relaxed_codes()
            self.state.work.operations += self.state.agent.operations(actor_routing.stages)
            if self.state.agent.updates % _CHECK_EVERY == 0:
                self._check_gradients()

    def _measure_conflict(self, batch: Batch, actor_routing: Routing, critic_routing: Routing) -> None:
        record: dict[str, Any] = {"kind": "conflict", "step": self.state.steps, "updates": self.state.agent.updates}
        for name, cosine in self.state.agent.gradient_cosines(batch, actor_routing, critic_routing).items():
            record[name] = gradient_conflict.summary(cosine.cpu(), list(self.suite.names))
        self.metrics.write(record)

    def _check_gradients(self) -> None:
        if (skipped := self.state.losses.skipped) >= self.config.sac.max_skipped:
            raise DivergedError(
                f"gradients are no longer finite at step {self.state.steps}: {skipped} updates since the last round "
                f"made no step, sac.max_skipped is {self.config.sac.max_skipped}; the last checkpoint is as it was. "
                "A lower sac.learning_rate or sac.reward_scale may help"
            )

    def _round(self) -> None:
        self._check_gradients()
        with self.state.clock("evolving"):
            outcome = self.state.evolver.end_round(self.state.episodes.taken > 0)
            while len(self.state.agent.actor.pool) < self.state.evolver.stages.max():
                self.state.agent.grow()
        self.state.success = outcome.success.tolist()
        self._describe_tasks()
        masked = self._count_masked()
        for verb, changed in (("grew", outcome.grown), ("shrank", outcome.shrunk), ("went back", outcome.restored)):
            self.status.events += [
                f"{self.suite.names[task]} {verb} to stage {self.status.stages[task]}" for task in changed
            ]
        self.metrics.write(
            {
                "kind": "round",
                "step": self.state.steps,
                "round": self.state.evolver.rounds,
                "updates": self.state.agent.updates,
                "pool_size": len(self.state.agent.actor.pool),
                "success": self._by_task(outcome.success),
                "return": self._by_task(outcome.mean_return),
                "score": self._by_task(outcome.best_score),
                "episodes": self._by_task(outcome.episodes),
                "stage": self._by_task(self.state.evolver.stages),
                "effective_modules": self._by_task(outcome.effective_modules),
                "restored": [self.suite.names[task] for task in outcome.restored],
                "temperature": self._by_task(self.state.agent.log_temperature.detach().exp()),
                "losses": self.state.losses.take(),
                **masked,
                **outcome.descent,
            }
        )
        self.metrics.write_time({"step": self.state.steps, **self.state.clock.snapshot()})

    def _count_masked(self) -> dict[str, dict[str, int]]:
        """For the round's record: updates since the last one that left each task out, where any may."""
        if self.state.masked is None:
            return {}
        fresh = self.state.losses.masked or [0] * len(self.state.masked)
        self.state.masked = [before + new for before, new in zip(self.state.masked, fresh, strict=True)]
        return {"masked": dict(zip(self.suite.names, fresh, strict=True))}

    def _evaluate(self) -> None:
        act = greedy(self.state.agent, self.state.evolver.elite_routing())

        def policy(observations: Floats) -> Floats:
            with self.state.clock("acting"):
                return act(observations)

        episodes, length = self.config.evaluation.episodes, self.config.environment.episode_length

        def progress(done: int) -> None:
            self.status.evaluating = f"evaluated {done} of {episodes} episodes of every task"
            self._show()

        estimates = self._simulate(
            lambda pool: evaluate(
                pool, policy, episodes, length, progress, lambda: self.stop_requested, self._first_goal
            )
        )
        self.status.evaluating = ""
        self._simulate(self.state.episodes.restore)
        self._report_faults()
        if estimates is None:
            return  # stopped; it stays due
        self.state.evaluation_due, self.state.evaluated, self.state.evaluated_at = False, estimates, self.state.steps
        success = self._by_task(np.array([estimate.success for estimate in estimates]))
        self.metrics.write(
            {"kind": "evaluation", "step": self.state.steps, "episodes": episodes, "greedy_success": success}
        )

    # --------------------------------------------------------------------------------------- helpers of the loop

    @property
    def _vector_steps(self) -> int:
        return self.state.steps // len(self.suite.names)

    @property
    def _first_goal(self) -> int:
        return first_goal(self.config.environment.change_at, self.state.steps)

    def _simulate(self, action: Callable[[RolloutPool], Any]) -> Any:
        simulator, transport = self.pool.simulator_seconds, self.pool.transport_seconds
        result = action(self.pool)
        self.state.clock.claim("simulator", self.pool.simulator_seconds - simulator)
        self.state.clock.claim("transport", self.pool.transport_seconds - transport)
        return result

    def _passed(self, interval: int) -> bool:
        before = self.state.steps - len(self.suite.names)
        return interval > 0 and self.state.steps // interval > before // interval

    def _by_task(self, values: Any) -> dict[str, Any]:
        return dict(zip(self.suite.names, values.tolist(), strict=True))

    def _describe_tasks(self) -> None:
        self.status.success = self.state.success
        self.status.stages = self.state.evolver.stages.tolist()
        self.status.effective_modules = self.state.evolver.effective_modules().tolist()

    def _show(self) -> None:
        self.status.steps, self.status.updates = self.state.steps, self.state.agent.updates
        self._observe(self.status)
        self.status.events.clear()

    def save(self) -> None:
        """Begin to write a checkpoint; DivergedError, and nothing is written, where gradients are not finite."""
        self._check_gradients()
        with self.state.clock("checkpointing"):
            self.state.metrics_offset, self.state.metrics_sha256 = self.metrics.mark()
            new = self.state.replay.new_rows(self.checkpoints.segments)
            self.checkpoints.save(checkpoint.snapshot(self.state), new)
