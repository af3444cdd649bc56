"""Compare P3 and LTGA with published numbers of evaluations, and with plain Python and GOMEA in speed.

    python benchmarks/linkage.py [--sizes all|hiff_64|...] [--quick] [--json]

Evaluations: the median over 20 runs to the optimum, each on an instance of its own with shuffled loci. The problems
are traps of 7 bits, HIFF, and NK landscapes of the next 5 loci, as in Goldman and Punch 2015, Fast and efficient
black box optimization using the parameter-less population pyramid. The size of LTGA's population is, as there, the
least that finds the optimum in every run, by bisection; "LTGA, no size" is the interleaved one, which needs none. A
ratio ``p3_hiff_64`` is ours over the published median. ``--sizes`` chooses one problem; ``--quick`` makes 5 runs on
the smallest. Standard error gets the figures of a problem as soon as they are measured.

Speed: CPU time for each evaluation, all of the run divided by its evaluations. The plain form is the one that the
tests compare with (tests/engine/plain_linkage.py), on lists, with Python's generator. PyPI's ``gomea`` takes part if
it is installed. Each has a fitness function in Python: ours a vectorised one in numpy, the others one in plain
Python, whose own time is shown. A ratio ``speed_p3_hiff_128`` says how many times longer plain Python takes than P3
with 512 genotypes at once; ``..._few`` is with 64, ``..._alone`` is P3 as published, one evaluation after the other.
``..._python`` has the same plain function of one list of bits on both sides. It cannot exceed ``..._most``: the plain
form's time over that of the fitness function alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from reporting import Measured, report

from genoevo import Population, Stop
from genoevo.algorithms import LTGA, P3, Algorithm
from genoevo.evaluation import Vectorised
from genoevo.problems import HIFF, NKLandscape, ShuffledProblem, Trap

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.engine import plain_linkage as plain

AT_ONCE, MANY = 64, 512
MORE = 5  # so many times the evaluations for forms that take many at once: the first climb alone is not P3
LIMIT = 20_000_000
Value = Callable[[Any], float]


@dataclass(frozen=True)
class Case:
    """A problem by the number of its instance, and the published medians of P3 and LTGA, None if not known here."""

    problem: Callable[[int], ShuffledProblem]
    p3: int | None = None
    ltga: int | None = None


CASES = {
    "hiff_64": Case(lambda seed: HIFF(64, shuffle=seed), 3_742, 8_324),
    "hiff_128": Case(lambda seed: HIFF(128, shuffle=seed), 11_698, 25_724),
    "trap_105": Case(lambda seed: Trap(105, 7, shuffle=seed), 45_490, 120_784),
    "hiff_256": Case(lambda seed: HIFF(256, shuffle=seed)),
    "trap_203": Case(lambda seed: Trap(203, 7, shuffle=seed)),
    "nk_100": Case(lambda seed: NKLandscape(100, 5, instance=seed, shuffle=seed), 557_704, 923_532),
    "nk_150": Case(lambda seed: NKLandscape(150, 5, instance=seed, shuffle=seed)),
}


class First:
    """The values of a problem, with the number of the evaluation that was the first to reach the optimum."""

    def __init__(self, problem: ShuffledProblem) -> None:
        self.problem, self.done, self.at = problem, 0, 0

    def __call__(self, population: Population) -> np.ndarray:
        """Return (n,) float64 values."""
        values = self.problem(population)
        reached = np.flatnonzero(values >= self.problem.optimum)
        if len(reached) and not self.at:
            self.at = self.done + int(reached[0]) + 1
        self.done += len(values)
        return values


def started(
    kind: type[Algorithm], problem: ShuffledProblem, size: int, seed: int, **settings: Any
) -> tuple[Algorithm, First]:
    """Return an algorithm that starts from *size* random genotypes, and its fitness function."""
    first = First(problem)
    start = problem.random(size, np.random.default_rng([seed, 0]))
    return kind(Vectorised(first), start, seed=seed, **settings), first


def spent(kind: type[Algorithm], case: Case, size: int, seed: int, **settings: Any) -> float:
    """Return the evaluations to the optimum, infinity if the search ends before."""
    problem = case.problem(seed)
    search, first = started(kind, problem, size, seed, **settings)
    fixed = isinstance(search, LTGA) and not search.interleaved
    # A population of a fixed size that has converged has failed: it must not begin again.
    ended = (lambda it: bool(it.populations and it.populations[0].ended)) if fixed else None
    search.run(stop=Stop(target=problem.optimum, evaluations=LIMIT, predicate=ended))
    return first.at or float("inf")


def median(kind: type[Algorithm], case: Case, runs: int, size: int = 1, **settings: Any) -> float:
    """Return the median of the evaluations over *runs* instances."""
    return float(np.median([spent(kind, case, size, 1 + run, **settings) for run in range(runs)]))


def least_size(case: Case, runs: int) -> int:
    """Return the least size, but for a twentieth, of an LTGA's population that reaches the optimum in every run."""

    def enough(size: int) -> bool:
        return all(spent(LTGA, case, size, 101 + run, interleaved=False) < np.inf for run in range(runs))

    high = 16
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > max(1, high // 20):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def evaluations(name: str, runs: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the medians over the published ones, and all medians with the size of LTGA's population."""
    case = CASES[name]
    size = least_size(case, runs)
    row = {
        "P3": median(P3, case, runs),
        "published P3": case.p3 or float("nan"),
        f"P3, {AT_ONCE} at once": median(P3, case, runs, at_once=AT_ONCE),
        f"P3, {MANY} at once": median(P3, case, runs, at_once=MANY),
        "LTGA": median(LTGA, case, runs, size, interleaved=False),
        "published LTGA": case.ltga or float("nan"),
        "LTGA's size": size,
        "LTGA, no size": median(LTGA, case, runs, 8),
    }
    if not (case.p3 and case.ltga):
        return {}, row
    return {f"p3_{name}": row["P3"] / case.p3, f"ltga_{name}": row["LTGA"] / case.ltga}, row


def plain_value(problem: ShuffledProblem) -> Value:
    """Return the problem as a function of a list of bits, in plain Python."""
    places = range(problem.size) if problem._places is None else problem._places.tolist()
    if isinstance(problem, Trap):
        return _plain_trap([places[i : i + problem.order] for i in range(0, problem.size, problem.order)])
    if isinstance(problem, HIFF):
        return _plain_hiff(places)
    assert isinstance(problem, NKLandscape)
    links = [[places[locus] for locus in reversed(row)] for row in problem._links.tolist()]
    return _plain_nk(links, problem._contributions.tolist(), 2**20 * problem.size)


def _plain_trap(blocks: list[list[int]]) -> Value:
    order = len(blocks[0])

    def value(bits: Any) -> float:
        total = 0
        for block in blocks:
            ones = 0
            for i in block:
                ones += bits[i]
            total += order if ones == order else order - 1 - ones
        return float(total)

    return value


def _plain_hiff(places: list[int]) -> Value:
    def value(bits: Any) -> float:
        level, block, total = [bits[i] for i in places], 1, len(places)
        while len(level) > 1:
            block *= 2
            level = [a if a == b else None for a, b in zip(level[::2], level[1::2], strict=True)]
            total += block * (len(level) - level.count(None))
        return float(total)

    return value


def _plain_nk(links: list[list[int]], contributions: list[list[int]], scale: int) -> Value:
    def value(bits: Any) -> float:
        total = 0
        for link, row in zip(links, contributions, strict=True):
            code = 0
            for i in link:
                code = 2 * code + bits[i]
            total += row[code]
        return total / scale

    return value


def speed(name: str, budget: int, size: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return ratios, and microseconds of CPU for each of *budget* evaluations or more; *size* is of LTGA's."""
    problem, draws = CASES[name].problem(1), plain.PythonDraws(1)
    value = plain_value(problem)
    start = [draws.bits(problem.size) for _ in range(size)]
    batch = Population.from_bits(start[:AT_ONCE])
    np.testing.assert_allclose(problem(batch), [value(bits) for bits in start[:AT_ONCE]], rtol=1e-12)

    def ours(kind: type[Algorithm], genotypes: int, *, python: bool = False, **settings: Any) -> float:
        search, _ = started(kind, problem, genotypes, 1, **settings)
        most = budget if settings.get("at_once") is None and kind is P3 else MORE * budget
        if python:
            begin = problem.random(genotypes, np.random.default_rng([1, 0]))
            search = kind(
                Vectorised(lambda them: [value(bits) for bits in them.bits().tolist()]), begin, seed=1, **settings
            )
        return _each(lambda: search.run(stop=Stop(evaluations=most)), lambda: search.evaluations)

    def theirs(search: Callable[..., Any], begin: Callable[[], Any]) -> float:
        counted = plain.Counted(value, float("inf"), budget)
        return _each(lambda: _until_found(search, counted, begin, draws), lambda: counted.evaluations)

    row = {
        "P3": ours(P3, 1),
        f"P3, {AT_ONCE} at once": ours(P3, 1, at_once=AT_ONCE),
        f"P3, {MANY} at once": ours(P3, 1, at_once=MANY),
        f"P3, {MANY} at once, Python fitness": ours(P3, 1, python=True, at_once=MANY),
        "plain P3": theirs(plain.p3, lambda: start[0]),
        "LTGA": ours(LTGA, size, interleaved=False),
        "LTGA, Python fitness": ours(LTGA, size, python=True, interleaved=False),
        "plain LTGA": theirs(plain.ltga, lambda: [draws.bits(problem.size) for _ in range(size)]),
        "gomea": gomea(value, problem, budget),
        "its fitness": _each(lambda: [value(bits) for bits in start], lambda: len(start)),
        "our fitness": _each(lambda: [problem(batch) for _ in range(100)], lambda: 100 * len(batch)),
        "our fitness, one": _each(lambda: [problem(batch[:1]) for _ in range(1000)], lambda: 1000),
    }
    ratios = {
        f"speed_p3_{name}": row["plain P3"] / row[f"P3, {MANY} at once"],
        f"speed_p3_{name}_few": row["plain P3"] / row[f"P3, {AT_ONCE} at once"],
        f"speed_p3_{name}_alone": row["plain P3"] / row["P3"],
        f"speed_p3_{name}_python": row["plain P3"] / row[f"P3, {MANY} at once, Python fitness"],
        f"speed_p3_{name}_most": row["plain P3"] / row["its fitness"],
        f"speed_ltga_{name}": row["plain LTGA"] / row["LTGA"],
        f"speed_ltga_{name}_python": row["plain LTGA"] / row["LTGA, Python fitness"],
        f"speed_ltga_{name}_most": row["plain LTGA"] / row["its fitness"],
    }
    return ratios, row


def _each(run: Callable[[], Any], count: Callable[[], int]) -> float:
    begin = time.process_time()
    run()
    return 1e6 * (time.process_time() - begin) / count()


def _until_found(
    search: Callable[..., Any], counted: plain.Counted, begin: Callable[[], Any], draws: plain.PythonDraws
) -> None:
    while counted.evaluations < counted.limit:  # another population takes the place of one that has converged
        with suppress(plain.FoundError):
            search(counted, begin(), draws)


def gomea(value: Value, problem: ShuffledProblem, budget: int) -> float:
    """Return microseconds for each evaluation of GOMEA's interleaved linkage tree; NaN if it is not installed."""
    try:
        import gomea as library
    except ImportError:
        return float("nan")

    class Function(library.fitness.BBOFitnessFunctionDiscrete):
        calls = 0

        def objective_function(self, objective: int, variables: Any) -> float:
            Function.calls += 1
            return value(variables.tolist())

    function, tree = Function(problem.size), library.linkage.LinkageTree()
    search = library.DiscreteGOMEA(
        fitness=function, linkage_model=tree, max_number_of_evaluations=budget, random_seed=1
    )
    return _each(search.run, lambda: Function.calls)


def measure(quick: bool, problem: str) -> Measured:
    """Measure everything, on one *problem* or on ``all``."""
    ratios: dict[str, float] = {}
    figures: dict[str, Any] = {}

    def add(name: str, more: dict[str, float], row: dict[str, float]) -> None:
        print(name, more | row, file=sys.stderr, flush=True)
        ratios.update(more)
        figures[name] = row

    chosen = list(CASES) if problem == "all" else [problem]
    for name in ["hiff_64"] if quick else chosen:
        more, row = evaluations(name, 5 if quick else 20)
        add(f"evaluations_{name}", more, row)
        if quick or name in ("trap_105", "hiff_128", "nk_100"):
            budget = 10_000 if quick else 60_000
            add(f"microseconds_{name}", *speed(name, budget, int(row["LTGA's size"])))
    return ratios, figures


if __name__ == "__main__":
    report(__doc__.partition("\n")[0], measure, ["all", *CASES])
