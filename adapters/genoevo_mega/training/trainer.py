"""The training loop, to be read from top to bottom.

One turn of the loop is one vector step: every task acts once, with the genotype of its episode, and the agent makes
its updates. After every genotype has had its episodes, a round ends: populations evolve and may grow.
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

from genoevo_mega.config.run import Config
from genoevo_mega.envs.probe import not_deterministic
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.suite import first_goal
from genoevo_mega.training import checkpoint, records
from genoevo_mega.training.acting import choose_actions
from genoevo_mega.training.build import check_kernels, make_state
from genoevo_mega.training.checkpoint_files import CHECKPOINT
from genoevo_mega.training.evaluation import evaluate, greedy
from genoevo_mega.training.evolving import fit_pool, judge
from genoevo_mega.training.finding import of_version_2
from genoevo_mega.training.memory_check import check_memory
from genoevo_mega.training.process import keep_freed_memory
from genoevo_mega.training.resuming import naming, resume_command
from genoevo_mega.training.status import Status
from genoevo_mega.training.throughput import measure_matrix_rate
from genoevo_runs.arrays import Flags, Floats
from genoevo_runs.checkpoint_store import CheckpointStore
from genoevo_runs.errors import ConfigError
from genoevo_runs.lock import locked
from genoevo_runs.loggers import check_loggers
from genoevo_runs.metrics import MetricsWriter

# On a GPU, the number of skipped updates is known only after all of them.
_CHECK_EVERY = 100


class Trainer:
    """One run: its state, and the loop that changes it.

    Parameters
    ----------
    config
        The resolved config.
    directory
        The run directory, for metrics and checkpoints; it must exist when :meth:`run` is called.
    observer
        Called with the run's :class:`Status` after every vector step and after every episode of an evaluation.

    Attributes
    ----------
    state : TrainingState
        Everything that a checkpoint holds.
    stop_requested : bool
        Set it to let :meth:`run` return after the present vector step.

    """

    def __init__(
        self, config: Config, directory: Path, observer: Callable[[Status], None] = lambda status: None
    ) -> None:
        check_loggers(config.loggers, directory)
        check_kernels(config)
        keep_freed_memory()
        self.config, self.directory, self._observe = config, directory, observer
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
        """Train until *steps* environment steps or the end of the time budget; False if it was stopped before.

        Either way the state is saved. Raises DivergedError if gradients or values are no longer finite,
        RolloutError if rollouts fail more often than ``faults.limit`` allows, StorageError if the directory cannot be
        written. The last checkpoint is intact after any of them.
        """
        config, state = self.config, self.state
        deadline = time.monotonic() + 60 * (config.schedule.time_limit_minutes or math.inf)
        self.status.target = steps
        self.status.describe(self.state)
        self._use_threads()
        with self._opened():
            self._simulate(state.episodes.restore)
            over, due = state.steps >= steps, self._passed(config.checkpoints.every)
            while not self.stop_requested:
                if state.evaluation_due:
                    self._evaluate()
                    if not over and checkpoint.worth_saving(state, config.checkpoints, self.checkpoints, due):
                        self.save()
                if over:
                    break
                self._vector_step()
                if state.evolver.due:
                    self._round()
                over = state.steps >= steps or time.monotonic() >= deadline
                state.evaluation_due = (over and config.evaluation.at_end) or self._passed(config.evaluation.every)
                due = self._passed(config.checkpoints.every)
                if due and (state.evaluation_due or not over):
                    self.save()
                self.checkpoints.check()
                self._show()
            self.save()
            self.checkpoints.wait()
        return over and not state.evaluation_due

    def _vector_step(self) -> None:
        state = self.state
        busy = self.pool.busy_seconds
        while len(state.episodes.under_way) <= self.config.schedule.action_lag:
            self._begin_step()
        if self.config.schedule.update_lag:
            self._updates()
        observations, sent = state.episodes.observations, state.episodes.under_way.take()
        transition = sent.result(self._simulate(lambda pool: pool.finish_step()))
        ended = state.episodes.advance(sent.actions, transition)
        with state.clock("replay"):
            state.remember(observations, sent.actions, transition, ended.mask, sent.genotypes)
        state.steps += len(self.suite.names)
        if len(ended.tasks):
            # Random actions tell nothing about a genotype.
            began = state.vector_steps - state.episodes.taken[ended.tasks]
            state.evolver.record_episodes(ended.only(began >= self.config.sac.random_steps))
        self._simulate(lambda pool: self._begin_episodes(pool, ended.mask))
        state.work.rollout_seconds += self.pool.busy_seconds - busy
        if not self.config.schedule.update_lag:
            self._updates()

    def _begin_step(self) -> None:
        # With two groups, the first steps while the actions of the second are computed.
        state, actions = self.state, np.zeros_like(self.state.episodes.last_actions)
        active, genotypes = state.episodes.unfinished, state.evolver.genotype_ids()
        for group, tasks in enumerate(self.pool.groups):
            with state.clock("acting"):
                actions[tasks] = choose_actions(state, self.config.sac)[tasks]
            part = actions[tasks], active[tasks], group
            self._simulate(lambda pool, part=part: pool.begin_step(*part))
        state.episodes.sent(actions, active, genotypes)

    def _begin_episodes(self, pool: RolloutPool, ended: Flags) -> None:
        state, due = self.state, ended | pool.lost
        while due.any():  # a reset can lose episodes, too
            state.cut(pool.lost)
            same_goal = state.evolver.start_episodes(np.flatnonzero(due))
            state.episodes.start(np.flatnonzero(due), pool, self._first_goal, same_goal)
            due = pool.lost.copy()
        self._report_faults()

    def _updates(self) -> None:
        sac, state = self.config.sac, self.state
        newest = max(0, self.config.schedule.update_lag - 1)
        learning = state.vector_steps - newest - sac.random_steps
        if learning <= 0 or not state.replay.ready(newest, sac.random_steps):
            return
        for _ in range(int(learning * sac.updates_per_step) - int((learning - 1) * sac.updates_per_step)):
            with state.clock("replay"):
                batch = state.replay.sample(
                    sac.batch_size, state.rngs["replay"], gamma=sac.gamma, steps=sac.n_step, newest=newest
                )
            with state.clock("learning"):
                routing = state.evolver.update_routing(batch.genotypes, state.rngs["update_genotypes"])
                of_critics = state.evolver.critic_routing(routing)
                if sac.conflict_every and state.agent.updates % sac.conflict_every == 0:
                    cosines = state.agent.gradient_cosines(batch, routing, of_critics)
                    self.metrics.write(records.of_conflict(state, self.suite.names, cosines))
                state.losses.add(state.agent.update(batch, routing, of_critics))
                state.evolver.step_relaxed_codes()
            by_critics = None if of_critics is routing else of_critics.used()
            state.work.operations += state.agent.operations(routing.used(), by_critics)
            if state.agent.updates % _CHECK_EVERY == 0:
                state.check_gradients(sac.max_skipped)

    def _round(self) -> None:
        state = self.state
        state.check_gradients(self.config.sac.max_skipped)
        with state.clock("evolving"):
            result = state.evolver.end_round(state.episodes.running, judge(state, self.config))
            fit_pool(state)
        state.success = result.success.tolist()
        self.status.describe(self.state)
        self.status.events += records.stage_lines(self.suite.names, self.status.stages, result)
        self.metrics.write(records.of_round(state, self.suite.names, result))
        self.metrics.write_time({"step": state.steps, **state.clock.snapshot()})

    def _evaluate(self) -> None:
        state, episodes = self.state, self.config.evaluation.episodes
        act = greedy(state.agent, state.evolver.elite_routing())

        def policy(observations: Floats) -> Floats:
            with state.clock("acting"):
                return act(observations)

        def progress(done: int) -> None:
            self.status.evaluating = f"evaluated {done} of {episodes} episodes of every task"
            self._show()

        self._simulate(lambda pool: pool.drop())  # restoring sends it again
        length, stop = self.config.environment.episode_length, lambda: self.stop_requested
        rates = self._simulate(
            lambda pool: evaluate(pool, policy, episodes, length, progress, stop, self._first_goal)
        )
        self.status.evaluating = ""
        self._simulate(state.episodes.restore)
        self._report_faults()
        if rates is None:
            return  # stopped; it stays due
        state.evaluation_due, state.evaluated, state.evaluated_at = False, rates, state.steps
        self.metrics.write(records.of_evaluation(state.steps, self.suite.names, rates))

    def save(self) -> None:
        """Start writing a checkpoint; DivergedError, and nothing is written, if gradients are not finite."""
        state = self.state
        state.check_gradients(self.config.sac.max_skipped)
        with state.clock("checkpointing"):
            state.metrics_offset, state.metrics_sha256 = self.metrics.mark()
            new = state.replay.new_rows(self.checkpoints.segments)
            self.checkpoints.save(checkpoint.snapshot(state), new)

    # --------------------------------------------------------------------------------------- helpers of the loop

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """Lock the run directory, and open rollout workers, checkpoints and metrics."""
        config, state = self.config, self.state
        resume = resume_command(self.directory, config, self.status.target)
        settings, position = config.model_dump(mode="json"), (state.metrics_offset, state.steps)
        with (
            locked(self.directory, self._tell) as lock,
            naming(resume, state.loaded),
            RolloutPool(
                self.suite,
                config.compute.workers,
                rollouts=config.compute.rollouts,
                groups=1 + config.schedule.double_buffering,
                ahead=max(config.schedule.action_lag, len(state.episodes.under_way) - 1),
                timeout=config.faults.worker_timeout,
                fault_limit=config.faults.limit,
            ) as self.pool,
            # Before the metrics: it refuses a state that is not the newest, before metrics are cut off.
            CheckpointStore(
                self.directory, CHECKPOINT, config.checkpoints.keep, state.loaded, resume, of_version_2, lock.check
            ) as self.checkpoints,
            MetricsWriter(
                self.directory, config.loggers, settings, *position, resume=resume, check_lock=lock.check
            ) as self.metrics,
        ):
            yield

    def _use_threads(self) -> None:
        threads, agent = self.config.compute.threads, self.state.agent
        torch.set_num_threads(threads)
        self.state.work.matrix_rate = measure_matrix_rate(agent.device)
        torch.set_num_threads(max(1, threads // agent.threads))

    @property
    def _first_goal(self) -> int:
        return first_goal(self.config.environment.change_at, self.state.steps)

    def _passed(self, interval: int) -> bool:
        before = self.state.steps - len(self.suite.names)
        return interval > 0 and self.state.steps // interval > before // interval

    def _simulate(self, action: Callable[[RolloutPool], Any]) -> Any:
        simulator, transport = self.pool.simulator_seconds, self.pool.transport_seconds
        result = action(self.pool)
        self.state.clock.claim("simulator", self.pool.simulator_seconds - simulator)
        self.state.clock.claim("transport", self.pool.transport_seconds - transport)
        return result

    def _report_faults(self) -> None:
        for fault in self.pool.take_faults():
            self.metrics.write(records.of_fault(self.state.steps, fault))
            self.status.events.append(records.fault_line(fault))
        diverged = self.state.episodes.take_diverged()
        self.status.events += [not_deterministic(self.suite.names[task]) for task in diverged]

    def _tell(self, line: str) -> None:
        self.status.events.append(line)
        self._show()

    def _show(self) -> None:
        self.status.steps, self.status.updates = self.state.steps, self.state.agent.updates
        self._observe(self.status)
        self.status.events.clear()
