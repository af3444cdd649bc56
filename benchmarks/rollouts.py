"""Compare the steps of Meta-World's suites with gymnasium's AsyncVectorEnv.

    python benchmarks/rollouts.py [--quick] [--json]

Three pools run the same tasks and random actions, in turns, from one process: gymnasium's vector environment as
``make_vec`` builds it (one process per task), and our pool with the stock step and with the faster one (one process
per core). The names ``..._stock_...`` are the ratios of the stock step. ``..._limit`` is the most that any transport
could reach: the time inside the simulators alone, spread over the cores without a gap. With ``--quick`` both draw one
goal per task, which shortens building and does not affect steps.
"""

from __future__ import annotations

import os
import time
from typing import Any

import gymnasium
import metaworld  # noqa: F401  registers Meta-World's environments
import numpy as np
from reporting import Measured, fastest, report

from genoevo_mega.envs.metaworld import MetaWorldSuite, metaworld_names
from genoevo_mega.envs.rollout import RolloutPool

CORES = os.cpu_count() or 1


def timed(build: Any) -> tuple[Any, float]:
    """Return the result of *build*, and the seconds that it takes."""
    begin = time.perf_counter()
    return build(), time.perf_counter() - begin


def compare(suite: str, goals: int, steps: int, turns: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the ratios, and the environment steps per second, of one suite."""
    names = metaworld_names(suite)
    rng = np.random.default_rng(1)
    actions = rng.uniform(-1, 1, (steps, len(names), 4)).astype(np.float32)

    def pool(stock: bool) -> RolloutPool:
        made = RolloutPool(MetaWorldSuite(names, seed=1, goals=goals, stock=stock), workers=CORES)
        made.reset(np.zeros(len(names), np.int64))
        return made

    vector, gymnasium_building = timed(
        lambda: gymnasium.make_vec(
            f"Meta-World/{suite.upper()}", seed=1, vector_strategy="async", num_goals=goals, use_one_hot=False
        )
    )
    vector.reset()
    ours, building = timed(lambda: pool(stock=False))
    stock = pool(stock=True)

    busy: dict[str, list[float]] = {"ours": [], "ours_stock_step": []}

    def play(step: Any) -> None:
        for one in actions:
            step(one)

    def play_in(pool: RolloutPool, spent: list[float]) -> None:
        before = pool.busy_seconds
        play(pool.step)
        spent.append(pool.busy_seconds - before)

    seconds = fastest(
        turns,
        lambda: play(vector.step),
        lambda: play_in(ours, busy["ours"]),
        lambda: play_in(stock, busy["ours_stock_step"]),
    )
    transport = ours.transport_seconds / (turns * steps)
    for closing in (vector, ours, stock):
        closing.close()
    count = actions.shape[0] * actions.shape[1]
    rates = [count / spent for spent in seconds]
    alone = {name: min(spent) / count for name, spent in busy.items()}
    ratios = {
        f"{suite}_vs_gymnasium_async": rates[1] / rates[0],
        f"{suite}_limit": CORES / alone["ours"] / rates[0],
        f"{suite}_stock_vs_gymnasium_async": rates[2] / rates[0],
        f"{suite}_stock_limit": CORES / alone["ours_stock_step"] / rates[0],
        f"{suite}_building_vs_gymnasium_async": gymnasium_building / building,
    }
    names_of_rates = ("gymnasium_async", "ours", "ours_stock_step")
    figures = {f"{suite} {name} steps/s": rate for name, rate in zip(names_of_rates, rates, strict=True)}
    figures |= {f"{suite} {name} us in a step": 1e6 * spent for name, spent in alone.items()}
    figures |= {f"{suite} transport us per vector step": 1e6 * transport}
    return ratios, figures | {f"{suite} building s": building, f"{suite} gymnasium building s": gymnasium_building}


def measure(quick: bool) -> Measured:
    """Measure MT10 and MT50."""
    ratios: dict[str, float] = {}
    figures: dict[str, Any] = {"cores": CORES}
    for suite, steps in (("mt10", 40), ("mt50", 15 if quick else 40)):
        compared = compare(suite, goals=1 if quick else 50, steps=steps, turns=3 if quick else 12)
        ratios |= compared[0]
        figures |= compared[1]
    return ratios, figures


if __name__ == "__main__":
    report(__doc__.partition("\n")[0], measure)
