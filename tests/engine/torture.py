"""Searches killed with SIGKILL at random moments and gone on with: do they end as if they never had been?

``python tests/engine/torture.py 100`` prints how many of so many searches ended bit-identical to the same search
never killed, and how many kills fell inside a save, which leaves a half-written file beside the state; exit code 1
where one did not. A search is of one kind (plain, islands with everything remembered, community, community with
records and candidates) and one seed, and saves every generation, so that saving takes most of its time. Each stretch
of it is a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from genoevo import Community, Evolution, FlatLayout, Islands, Population, Record, StagedLayout, Stop, Survival
from genoevo.checkpoint import Checkpoint
from genoevo.community import Candidates, Frontier, Growth, RecordCommunity
from genoevo.evaluation import Vectorised
from genoevo.operators import LengthPolicy, Reproduction
from genoevo.state import load

KINDS = ("plain", "islands", "community", "records")


def ones(population: Population) -> np.ndarray:
    """The fitness: the number of ones."""
    return population.bits().sum(axis=1, dtype=np.float64)


def search(kind: str, seed: int, path: Path, generations: int) -> None:
    """Begin the search in *path*, or go on with it, to its end, saving every generation."""
    with Checkpoint(path, every=1, about={"kind": kind, "seed": seed}) as checkpoint:
        state = checkpoint.load()
        if kind == "community":
            _community(state, seed, checkpoint, generations)
        elif kind == "records":
            _records(state, seed, checkpoint, generations)
        else:
            _evolution(kind, state, seed, checkpoint, generations)


def _evolution(kind: str, state: dict | None, seed: int, checkpoint: Checkpoint, generations: int) -> None:
    islands = kind == "islands"
    layout = FlatLayout(precision=2) if islands else None
    rules = {
        "islands": Islands(count=3, interval=4, topology="random"),
        "survival": Survival(strategy="plus"),
        "reproduction": Reproduction(
            crossover="cut_and_splice", granularity="gene", resize_rate=0.2, lengths=LengthPolicy(maximum=60)
        ),
        "record": Record(hall_of_fame=4, pareto_front=True, lineage=True, cache=100),
    }
    if state is None:
        start = Population.random(18, 40, np.random.default_rng(seed))
        evolution = Evolution(
            Vectorised(ones), start, seed=seed, layout=layout, callbacks=[checkpoint], **(rules if islands else {})
        )
    else:
        evolution = Evolution.from_state(state, Vectorised(ones), layout=layout, callbacks=[checkpoint])
    evolution.run(stop=Stop(generations=generations))


def _community(state: dict | None, seed: int, checkpoint: Checkpoint, generations: int) -> None:
    community = Community(StagedLayout(2), list("abcd"), seed=seed) if state is None else Community.from_state(state)
    while community.rounds < generations:
        rng = np.random.default_rng([seed, community.rounds])
        community.step(rng.random((4, 3)), rng.random((4, 3)))
        checkpoint(community)


def _records(state: dict | None, seed: int, checkpoint: Checkpoint, generations: int) -> None:
    rules: dict[str, Any] = {
        "candidates": Candidates(children=4, first_generations=3, surrogate=1.0, inertia=1.0),
        "growth": Growth(patience=3, warmup_rounds=2, fill="explore", unused_patience=4),
        "frontier": Frontier(size=2, trial_rounds=1),
    }
    if state is None:
        community = RecordCommunity(StagedLayout(2), list("abcd"), seed=seed, **rules)
    else:
        community = RecordCommunity.from_state(state)
    while community.rounds < generations:
        rng = np.random.default_rng([seed, community.rounds])
        acting = [*np.arange(community.size)[:, None].repeat(4, axis=1)]
        for places in [*acting, community.size + community.archive.acting(community.rounds)]:
            community.record.add(np.arange(4), places, rng.random(4) < 0.4, rng.normal(size=4))
        community.step(judge=lambda population, tasks: ones(population))
        checkpoint(community)


def digest(path: Path) -> str:
    """SHA-256 of everything in a state."""
    found = hashlib.sha256()

    def feed(value) -> None:
        if isinstance(value, dict):
            for key in sorted(value):
                found.update(key.encode())
                feed(value[key])
        elif isinstance(value, list):
            for item in value:
                feed(item)
        elif isinstance(value, np.ndarray):
            found.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
        else:
            found.update(repr(value).encode())

    feed(load(path))
    return found.hexdigest()


def start(*arguments: Any) -> int:
    """The process id of a child that runs :func:`search` with *arguments*."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        search(*arguments)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(child: int) -> None:
    """Wait for *child*; RuntimeError unless it ends by itself, with 0."""
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"a search ended with status {os.waitstatus_to_exitcode(status)}")


def torture(number: int, kills: int, generations: int, directory: Path) -> tuple[bool, int, int]:
    """Whether search *number* ends as it does unkilled, how often it was killed, and how often inside a save."""
    kind, rng = KINDS[number % len(KINDS)], random.Random(number)
    whole, parts = directory / f"{number}-whole.npz", directory / f"{number}-parts.npz"
    began = time.monotonic()
    ended(start(kind, number, whole, generations))
    duration, inside, left = time.monotonic() - began, 0, kills
    while left:
        child = start(kind, number, parts, generations)
        time.sleep(rng.uniform(0, duration / kills))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not status:
            break  # the search was over before the kill
        left -= 1
        inside += parts.with_name(f"{parts.name}.{child}.tmp").exists()
    ended(start(kind, number, parts, generations))
    same = digest(whole) == digest(parts)
    beside = [entry.name for entry in directory.iterdir() if entry not in (whole, parts)]
    whole.unlink()
    parts.unlink()
    return same and not beside, kills - left, inside


def main() -> int:
    """Print the counts; 1 where a search ended otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("searches", type=int, nargs="?", default=100)
    parser.add_argument("--kills", type=int, default=4, help="of each search")
    parser.add_argument("--generations", type=int, default=40, help="of each search")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        settings = given.kills, given.generations, Path(directory)
        results = [torture(number, *settings) for number in range(given.searches)]
    same, kills, inside = (sum(column) for column in zip(*results, strict=True))
    print(f"{same} of {len(results)} searches bit-identical after {kills} kills, {inside} of them inside a save")
    return int(same < len(results))


if __name__ == "__main__":
    sys.exit(main())
