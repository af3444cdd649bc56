"""Compare the speed of the engine with DEAP, pymoo and PyGAD, and measure how it scales.

    python benchmarks/engine.py [--quick] [--json]

This needs pymoo and pygad besides genoevo. All engines do the same work in one process, in turns: OneMax, 1000
genotypes of 1000 bits, tournaments of 3, two-point crossover with probability 0.9, every bit flipped with probability
1/1000. Our engine runs as an :class:`~genoevo.Evolution` that keeps its log, its best and a hall of fame; the others
keep none. Each engine's time is its fastest turn, because the noise of a shared machine only adds. ``--json`` prints
only {"ratios": {...}, "figures": {...}} on standard output. A ratio says how many times longer another engine takes
per generation.
"""

from __future__ import annotations

import array
import pickle
import random
import time
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from deap import algorithms, base, creator, tools
from reporting import Measured, fastest, report

from genoevo import Community, Evolution, Genotype, Population, Record, StagedLayout
from genoevo.community import Growth
from genoevo.decode import decode_population
from genoevo.evaluation import Vectorised

SIZE, LENGTH = 1000, 1000
CROSSOVER, ENTRANTS = 0.9, 3

Turn = Callable[[], float]  # runs some generations and returns seconds per generation


def ones(population: Population) -> Any:
    """Return the number of ones of each genotype, (n,) float64, whatever its length."""
    words = population.words
    return np.bitwise_count(words) @ np.ones(words.shape[1])  # twice as fast as sum(axis=1)


def ours(size: int = SIZE, lengths: Any = LENGTH, generations: int = 50) -> Turn:
    """Return a turn of Evolution on packed words, by default exactly the work described above."""
    start = Population.random(size, lengths, np.random.default_rng(1))
    evolution = Evolution(Vectorised(ones), start, seed=1, record=Record(hall_of_fame=1))
    evolution.run(2)
    return lambda: fastest(1, lambda: evolution.run(generations))[0] / generations


def deap(kind: type, **settings: Any) -> Turn:
    """Return a turn of DEAP's eaSimple, on individuals that are lists or arrays."""
    name = f"{kind.__name__}Individual"
    if not hasattr(creator, name):
        creator.create(f"{name}Fitness", base.Fitness, weights=(1.0,))
        creator.create(name, kind, fitness=getattr(creator, f"{name}Fitness"), **settings)
    make = getattr(creator, name)
    random.seed(1)
    toolbox = base.Toolbox()
    toolbox.register("mate", tools.cxTwoPoint)
    toolbox.register("mutate", tools.mutFlipBit, indpb=1 / LENGTH)
    toolbox.register("select", tools.selTournament, tournsize=ENTRANTS)
    population = [make(random.choices((0, 1), k=LENGTH)) for _ in range(SIZE)]
    for one in population:
        one.fitness.values = (sum(one),)

    def generation() -> None:
        children = algorithms.varAnd(toolbox.select(population, SIZE), toolbox, CROSSOVER, 1.0)
        for child in children:
            if not child.fitness.valid:
                child.fitness.values = (sum(child),)
        population[:] = children

    return lambda: fastest(1, generation)[0]


def pymoo() -> Turn:
    """Return a turn of pymoo's GA on boolean matrices, evaluated as a whole, without its check for duplicates."""
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.pntx import TwoPointCrossover
    from pymoo.operators.mutation.bitflip import BitflipMutation
    from pymoo.operators.sampling.rnd import BinaryRandomSampling
    from pymoo.operators.selection.tournament import TournamentSelection

    class Ones(Problem):
        def __init__(self) -> None:
            super().__init__(n_var=LENGTH, n_obj=1, xl=0, xu=1, vtype=bool)

        def _evaluate(self, x: Any, out: Any, *args: Any, **kwargs: Any) -> None:
            out["F"] = -x.sum(axis=1, dtype=float)

    def fittest(pop: Any, entrants: Any, **kwargs: Any) -> Any:
        best = pop.get("F")[entrants, 0].argmin(axis=1)
        return entrants[np.arange(len(entrants)), best][:, None]

    algorithm = GA(
        pop_size=SIZE,
        sampling=BinaryRandomSampling(),
        selection=TournamentSelection(func_comp=fittest, pressure=ENTRANTS),
        crossover=TwoPointCrossover(prob=CROSSOVER),
        mutation=BitflipMutation(prob=1.0, prob_var=1 / LENGTH),
        eliminate_duplicates=False,
    )
    algorithm.setup(Ones(), termination=("n_gen", 10**9), seed=1, verbose=False)
    algorithm.next()
    return lambda: fastest(3, algorithm.next)[0]


def pygad(generations: int = 3) -> Turn:
    """Return a turn of PyGAD on a matrix of int8, evaluated in one batch."""
    import pygad as library

    stamps: list[float] = []
    ga = library.GA(
        num_generations=generations,
        num_parents_mating=SIZE,
        sol_per_pop=SIZE,
        num_genes=LENGTH,
        gene_type=np.int8,
        gene_space=[0, 1],
        init_range_low=0,
        init_range_high=2,
        fitness_func=lambda ga, solutions, indices: np.asarray(solutions).sum(axis=1),
        fitness_batch_size=SIZE,
        parent_selection_type="tournament",
        K_tournament=ENTRANTS,
        crossover_type="two_points",
        crossover_probability=CROSSOVER,
        mutation_probability=1 / LENGTH,
        keep_elitism=1,
        random_seed=1,
        suppress_warnings=True,
        on_generation=lambda ga: stamps.append(time.perf_counter()),
    )

    def turn() -> float:
        stamps.clear()
        ga.run()
        return float(np.diff(stamps).min())

    return turn


def compared(turns: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return how many times longer the others take, and the milliseconds per generation of every engine."""
    engines = {
        "genoevo": ours(),
        "genoevo_mixed": ours(lengths=mixed_lengths()),
        "deap_list": deap(list),
        "deap_array": deap(array.array, typecode="b"),
        "pymoo": pymoo(),
        "pygad": pygad(),
    }
    times = {name: float("inf") for name in engines}
    for _ in range(turns):
        for name, turn in engines.items():
            times[name] = min(times[name], turn())
    ratios = {name: times[name] / times["genoevo"] for name in ("deap_list", "deap_array", "pymoo", "pygad")}
    return ratios, {name: 1e3 * value for name, value in times.items()}


def held_over_bits(population: Population) -> float:
    """Return the bytes of the population's arrays over the bytes of its bits; rows are as wide as the longest."""
    held = population.words.nbytes + population.lengths.nbytes + population.fitness.nbytes
    return float(held / (population.lengths.sum() / 8))


def mixed_lengths() -> Any:
    """Return lengths from 100 to LENGTH bits, (SIZE,) int64."""
    return np.random.default_rng(2).integers(100, LENGTH + 1, SIZE)


def scaling(sizes: list[int], lengths: list[int]) -> list[dict[str, float]]:
    """Return, per size and length, ms per generation, the population's bytes over the bits', and a peak of memory."""
    rows = []
    for size in sizes:
        for length in lengths:
            bits = size * length / 8
            turn = ours(size, length, generations=1)
            spent = min(turn() for _ in range(max(2, min(20, int(1e9 / (size * length))))))
            population = Population.random(size, length, np.random.default_rng(1))
            held = held_over_bits(population)
            tracemalloc.start()
            turn = ours(size, length, generations=1)
            tracemalloc.reset_peak()
            turn()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            rows.append(
                {
                    "size": size,
                    "length": length,
                    "ms": 1e3 * spent,
                    "ns_per_bit": 1e9 * spent / (size * length),
                    "held_over_bits": held,
                    "held_over_allowed": held * bits / (1.1 * bits + 64 * size),
                    "peak_over_bits": peak / bits,
                }
            )
    return rows


def decoding(genotypes: int = 10000, sample: int = 300) -> dict[str, float]:
    """Compare decoding in one batch with a loop over genotypes in plain numpy; stage 20, p = 4."""
    layout, stage = StagedLayout(4), 20
    population = Population.random(genotypes, layout.length(stage), np.random.default_rng(1))
    segments, powers = layout.segments(stage), np.array([8, 4, 2, 1])

    def alone(genotype: Genotype) -> list[Any]:
        bits, weights = genotype.bits, []
        for segment in segments:
            terms = np.exp(bits[segment].reshape(-1, 4) @ powers) - 0.99
            weights.append(terms / terms.sum())
        return weights

    some = list(population[:sample])
    looped = [np.concatenate(alone(genotype)) for genotype in some]
    np.testing.assert_allclose(decode_population(population[:sample], layout), looped, rtol=1e-9)
    one = fastest(10, lambda: [alone(genotype) for genotype in some])[0] / sample
    every = fastest(30, lambda: decode_population(population, layout))[0] / genotypes
    return {"loop_us": 1e6 * one, "batch_us": 1e6 * every, "ratio": one / every}


def transport(genotypes: int = 1000, length: int = 2000) -> dict[str, float]:
    """Return microseconds and bytes per genotype, to pickle a population and to read it again."""
    population = Population.random(genotypes, length, np.random.default_rng(1))
    [spent] = fastest(50, lambda: pickle.loads(pickle.dumps(population, pickle.HIGHEST_PROTOCOL)))
    data = pickle.dumps(population, pickle.HIGHEST_PROTOCOL)
    return {"us_per_genotype": 1e6 * spent / genotypes, "bytes_per_genotype": len(data) / genotypes}


def communities(tasks: list[int]) -> list[dict[str, float]]:
    """Return milliseconds of a community's round: mixed stages 3 to 30, eight genotypes per task, precision 4."""
    rows = []
    for count in tasks:
        rng = np.random.default_rng(1)
        rule = Growth(max_modules=31, patience=10**6)
        community = Community(StagedLayout(4), [f"task {i}" for i in range(count)], seed=1, size=8, growth=rule)
        stages = np.repeat(rng.integers(3, 31, count), 8)
        lengths = np.array([community.layout.length(int(stage)) for stage in stages])
        community.population = Population.random(len(stages), lengths, rng, community.population.weights)
        performance = rng.random((count, 8))
        [spent] = fastest(7, lambda c=community, p=performance: c.step(p, p))
        rows.append({"tasks": count, "ms": 1e3 * spent, "us_per_task": 1e6 * spent / count})
    return rows


def measure(quick: bool) -> Measured:
    """Measure everything."""
    warnings.filterwarnings("ignore")  # warnings of the other libraries
    ratios, milliseconds = compared(turns=6 if quick else 20)
    figures: dict[str, Any] = {
        "ms_per_generation": milliseconds,
        "mixed_speed": milliseconds["genoevo"] / milliseconds["genoevo_mixed"],
        "mixed_held_over_bits": held_over_bits(Population.random(SIZE, mixed_lengths(), np.random.default_rng(1))),
        "scaling": scaling([100, 1000, 10000] if quick else [100, 1000, 10000, 100000], [100, 1000, 10000]),
        "decoding": decoding(),
        "transport": transport(),
        "community": communities([125, 250, 500] if quick else [125, 250, 500, 1000]),
    }
    return ratios, figures


if __name__ == "__main__":
    report(__doc__.partition("\n")[0], measure)
