"""Searches of the engine, by its public names alone: either side runs this file, with its own genoevo.

``python searches.py run NAME DIR`` writes ``whole.npz``, the state after both halves, and ``half.npz``, that after
one. ``python searches.py resume NAME STATE FILE`` goes on from the half in STATE, to FILE.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from deap.tools import Statistics

import genoevo.operators as ops
from genoevo import (
    Community,
    Evolution,
    FlatLayout,
    Genotype,
    Islands,
    Memory,
    Population,
    Selection,
    StagedLayout,
    Survival,
    decode,
    half_softmax,
)
from genoevo.community import Decoding, Growth, Mating
from genoevo.operators import LengthPolicy, Reproduction
from genoevo.state import load, save

HALF = 12
TASKS, SIZE = ("reach", "push", "door", "peg"), 3


def ones(genotype: Genotype) -> float:
    """The number of ones: many ties."""
    return float(genotype.bits.sum())


def weighted(genotype: Genotype) -> float:
    """Real-valued and rugged: no ties, and lengths count."""
    bits = np.asarray(genotype.bits, dtype=np.float64)
    return float(10 + (bits * np.sin(np.arange(len(bits)) + 1.0)).sum() - 0.01 * len(bits))


def opposed(genotype: Genotype) -> tuple[float, float]:
    """Ones, to be many, and ones in the second half, to be few."""
    bits = np.asarray(genotype.bits)
    return float(bits.sum()), float(bits[len(bits) // 2 :].sum() + 0.5 * bits[0])


GROWING = Reproduction(
    crossover="cut_and_splice", granularity="gene", resize_rate=0.3, lengths=LengthPolicy(minimum=8, maximum=90)
)
TWO = (1.0, -1.0)
LAYOUT, STAGED = FlatLayout(precision=2), StagedLayout(precision=2)
EVERYTHING = Memory(hall_of_fame=4, pareto_front=True, lineage=True, cache=60)

EVOLUTIONS: dict[str, dict[str, Any]] = {
    "generational": {"survival": Survival(elites=2), "selection": Selection(method="roulette")},
    "steady": {"survival": Survival(strategy="steady", offspring=3), "selection": Selection(method="sus")},
    "plus": {
        "survival": Survival(strategy="plus", offspring=9),
        "selection": Selection(method="ranking"),
        "fitness": ones,
    },
    "comma": {
        "survival": Survival(strategy="comma", offspring=30),
        "selection": Selection(method="truncation", share=0.4),
        "reproduction": Reproduction(crossover="uniform", crossover_threshold=0.5, mutation_threshold=0.9),
    },
    "one-plus-one": {
        "survival": Survival(strategy="plus", offspring=1),
        "fitness": ones,
        "reproduction": Reproduction(crossover_threshold=0.0),
        "population": (1, 200),
    },
    "lexicase": {"fitness": opposed, "selection": Selection(method="lexicase")},
    "nsga2": {
        "fitness": opposed,
        "survival": Survival(strategy="plus", method="nsga2"),
        "selection": Selection(method="crowded", tournament_size=2),
        "memory": Memory(pareto_front=True),
    },
    "variable": {"reproduction": GROWING, "layout": LAYOUT, "memory": Memory(lineage=True)},
    "variable-rejected": {
        "reproduction": Reproduction(
            crossover="cut_and_splice",
            granularity="segment",
            resize_rate=0.3,
            lengths=LengthPolicy(maximum=60, illegal="reject"),
        ),
        "layout": STAGED,
        "population": (16, STAGED.length(4)),
    },
    "segments": {
        "reproduction": Reproduction(crossover="segments", mutation_rate=0.05),
        "layout": STAGED,
        "population": (16, STAGED.length(4)),
    },
    "creep": {"reproduction": Reproduction(mutation="creep", granularity="gene", points=3), "layout": LAYOUT},
    "islands": {"islands": Islands(count=3, interval=4), "population": (18, 70)},
    "islands-complete": {
        "islands": Islands(count=3, interval=3, migrants=2, topology="complete", replace="random"),
        "survival": Survival(strategy="steady"),
        "population": (24, 70),
    },
    "islands-random": {
        "islands": Islands(count=3, interval=2, topology="random"),
        "reproduction": GROWING,
        "layout": LAYOUT,
        "population": (18, 40),
    },
    "remembering": {"memory": EVERYTHING, "statistics": True, "fitness": ones},
    "asked": {"memory": EVERYTHING, "fitness": opposed, "reproduction": GROWING, "layout": LAYOUT},
}
COMMUNITIES: dict[str, dict[str, Any]] = {
    "community": {"rules": {"growth": Growth(mastery=0.7, patience=2, warmup_rounds=1)}, "step": {}},
    "community-limits": {
        "rules": {
            "growth": Growth(mastery=0.5, patience=1, warmup_rounds=2, fill="random", shrink=True, max_modules=7),
            "mating": Mating(community_rate=0.5, usage_cost=0.1),
            "decoding": Decoding(decimal_scale=0.5),
            "reproduction": Reproduction(crossover="segments", crossover_threshold=0.6, mutation_threshold=0.9),
        },
        "step": {"module_budget": 20, "rollback": 0.1},
    },
}


def _evolution(name: str, state: dict[str, Any] | None) -> Evolution:
    rules = dict(EVOLUTIONS[name])
    fitness, (count, length) = rules.pop("fitness", weighted), rules.pop("population", (16, 60))
    statistics = None
    if rules.pop("statistics", False):
        statistics = Statistics(key=lambda genotype: genotype.fitness.values[0])
        statistics.register("median", np.median)
    if state is not None:
        return Evolution.from_state(state, fitness, layout=rules.get("layout"), statistics=statistics)
    weights = {"weights": TWO} if fitness is opposed else {}
    start = Population.random(count, length, np.random.default_rng(5), **weights)
    return Evolution(fitness, start, seed=7, statistics=statistics, **rules)


def _play(community: Community, settings: dict[str, Any]) -> None:
    for _ in range(HALF):
        rng = np.random.default_rng([11, community.rounds])
        community.step(rng.random((len(TASKS), SIZE)), rng.normal(size=(len(TASKS), SIZE)), **settings)


def run_half(name: str, state: dict[str, Any] | None, *, ask: bool) -> dict[str, Any]:
    """The state half a search later; with *ask*, a search called so is left between ask and tell."""
    if name == "operators":
        return _operators(0 if state is None else int(state["next"]))
    if name in COMMUNITIES:
        rules = COMMUNITIES[name]
        community = (
            Community(STAGED, TASKS, seed=3, size=SIZE, **rules["rules"])
            if state is None
            else Community.from_state(state)
        )
        _play(community, rules["step"])
        return community.state_dict()
    evolution = _evolution(name, state)
    evolution.run(HALF)
    if ask and name == "asked":
        evolution.ask()
    return evolution.state_dict()


def _operators(seed: int) -> dict[str, Any]:
    """What every operator makes of the same parents, and what they decode to."""
    rng = np.random.default_rng(100 + seed)
    first, second = (Population.random(20, STAGED.length(4), rng) for _ in range(2))
    first.fitness, second.fitness = rng.random(20), rng.random(20)
    cross, mutate, select = ops.crossover, ops.mutation, ops.selection
    pairs = {
        "n_point": cross.n_point(first, second, rng, points=3),
        "one_point": cross.one_point(first, second, rng, granularity="gene", layout=STAGED),
        "two_point": cross.two_point(first, second, rng, granularity="segment", layout=STAGED),
        "uniform": cross.uniform(first, second, rng, rate=0.3),
        "segments": cross.segments(first, second, rng, layout=STAGED),
        "cut_and_splice": cross.cut_and_splice(first, second, rng),
    }
    single = {
        "flip": mutate.flip(first, rng),
        "flip often": mutate.flip(first, rng, rate=0.4),
        "creep": mutate.creep(first, rng, layout=STAGED, rate=0.2, step=2),
        "insert": mutate.insert(first, rng, layout=LAYOUT, granularity="gene"),
        "delete": mutate.delete(first, rng, layout=LAYOUT, granularity="gene"),
        "duplicate": mutate.duplicate(first, rng, layout=LAYOUT, granularity="gene"),
        "grow": ops.growth.grow(first, STAGED, rng),
        "grow at random": ops.growth.grow(first, STAGED, rng, fill="random"),
        "shrink": ops.growth.shrink(first, STAGED),
    }
    chosen = {
        "tournament": select.tournament(first, 30, rng, size=2),
        "truncation": select.truncation(first, 5),
        "roulette": select.roulette(first, 30, rng),
        "stochastic_universal": select.stochastic_universal(first, 30, rng),
        "linear_ranking": select.linear_ranking(first, 30, rng, pressure=1.8),
        "lexicase": select.lexicase(first, 10, rng, cases=rng.random((20, 4)), epsilon=0.1),
    }
    return {
        "next": seed + 1,
        "parents": [str(genotype) for genotype in first],
        "pairs": {name: [str(child) for part in pair for child in part] for name, pair in pairs.items()},
        "single": {name: [str(child) for child in population] for name, population in single.items()},
        "chosen": chosen,
        "decoded": {f"{i}.{j}": part for i in range(5) for j, part in enumerate(decode(first[i], STAGED))},
        "half_softmax": half_softmax(rng.random((4, 6))),
        "drawn": int(rng.integers(2**60)),
    }


def main(command: str, name: str, *places: str) -> None:
    if command == "run":
        (directory,) = map(Path, places)
        half = run_half(name, None, ask=True)
        save(directory / "half.npz", half)
        save(directory / "whole.npz", run_half(name, run_half(name, None, ask=False), ask=False))
    else:
        state, file = map(Path, places)
        save(file, run_half(name, load(state), ask=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
