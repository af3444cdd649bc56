"""The cost of a run before it starts: sizes from its config, speed from a short probe."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from genoevo_mega.config.run import Config
from genoevo_mega.experiments import runs, sizes
from genoevo_mega.experiments.sizes import PolicySize
from genoevo_mega.training.memory_check import weights_bytes
from genoevo_mega.training.status import Status

_SETTLING = 0.2  # share of the probe that is not measured


@dataclass(frozen=True)
class RunEstimate:
    """The sizes of a run as numbers and bytes, its rates per second on this machine, and its duration.

    ``critic_parameters`` are those of both critics. ``policy`` is what an export at once would write.
    ``weights_bytes`` is defined by :func:`~genoevo_mega.training.memory_check.weights_bytes`. The pool has the
    modules of the start stage, so a run whose tasks grow takes longer than ``seconds``.
    """

    tasks: int
    actor_parameters: int
    critic_parameters: int
    policy: PolicySize | None
    replay_bytes: int
    weights_bytes: int
    building_seconds: float
    steps_per_second: float
    updates_per_second: float
    seconds: float


def estimate(
    config: Config, seconds: float = 10.0, progress: Callable[[float], None] = lambda elapsed: None
) -> RunEstimate:
    """Build the run of *config* in a temporary directory and train it for *seconds*, without random steps first.

    *progress* is called with the elapsed seconds of the probe, without the time to build the environments.
    """
    seen: list[tuple[float, int, int]] = []

    def observe(status: Status) -> None:
        now = time.monotonic()
        seen.append((now, status.steps, status.updates))
        progress(now - seen[0][0])
        trainer.stop_requested = now - seen[0][0] >= seconds

    with tempfile.TemporaryDirectory(prefix="genoevo-probe-") as place:
        trainer = runs.create(Path(place) / "run", _probed(config), [], observe)
        agent = trainer.state.agent
        actor, critics = agent.actor.parameter_count, agent.critics.parameter_count
        policy = sizes.policy_at_start(config, trainer.suite, trainer.state.evolver)
        replay = trainer.state.replay.nbytes
        began = time.monotonic()
        trainer.run(2**62)
    # The first steps warm up caches and allocators.
    settled = next(one for one in seen if one[0] - seen[0][0] >= _SETTLING * seconds or one is seen[-1])
    elapsed = seen[-1][0] - settled[0]
    limit = 60 * (config.schedule.time_limit_minutes or math.inf)
    steps, updates = (((seen[-1][i] - settled[i]) / elapsed if elapsed else 0.0) for i in (1, 2))
    total = min(config.steps / steps if steps else math.inf, limit)
    return RunEstimate(
        tasks=len(trainer.suite.names),
        actor_parameters=actor,
        critic_parameters=critics,
        policy=policy,
        replay_bytes=replay,
        weights_bytes=weights_bytes(config, trainer.suite),
        building_seconds=round(seen[0][0] - began, 1),
        steps_per_second=round(steps, 1),
        updates_per_second=round(updates, 1),
        seconds=total if math.isinf(total) else round(total),
    )


def _probed(config: Config) -> Config:
    """Return a config with the same work per step, updates from the first step on, and nothing but steps."""
    changes: dict[str, object] = {
        "loggers": (),
        "sac": config.sac.model_copy(update={"random_steps": 0}),
        "evaluation": config.evaluation.model_copy(update={"every": 0, "at_end": False}),
        "schedule": config.schedule.model_copy(update={"time_limit_minutes": None}),
        "checkpoints": config.checkpoints.model_copy(update={"every": 0}),
    }
    return config.model_copy(update=changes)
