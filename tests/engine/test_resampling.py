"""Survivors that are evaluated again, for noisy and for changing fitness: who, how often, and exactly resumed."""

import numpy as np
import pytest

from genoevo import Evolution, Islands, Population, Record, Survival
from genoevo.evaluation import Vectorised
from genoevo.evolution import Constraints, Resampling
from genoevo.operators import Operators
from genoevo.state import load, save
from tests.engine.evolutions import ones

PLUS = Survival(strategy="plus", offspring=4)


def by_number(population):
    """A fitness that depends on the call: noise that a resumed run meets again."""
    return ones(population) + np.sin(np.arange(len(population)) + population.words[:, 0] % 97)


def test_the_population_is_evaluated_again_with_the_children_and_no_more_than_so_often(start):
    evolution = Evolution(Vectorised(ones), start, seed=1, survival=PLUS, resampling=Resampling(evaluations=3))
    evolution.run(1)
    assert len(evolution.ask()) == 4 + 12
    asked = evolution.ask()
    assert (asked.words[4:] == evolution.population.words).all()
    assert not asked.evaluated.any()
    evolution.run(6)
    assert evolution.estimates.counts.max() == 3
    assert evolution.logbook.select("resampled")[:2] == [0, 12]


@pytest.mark.parametrize(
    ("survival", "again"), [(Survival(elites=2), 2), (Survival(strategy="steady", offspring=3), 9), (PLUS, 12)]
)
def test_those_are_evaluated_again_that_survive_if_no_child_is_better(start, survival, again):
    evolution = Evolution(Vectorised(ones), start, seed=1, survival=survival, resampling=Resampling(evaluations=9))
    evolution.run(1)
    expected = np.sort(evolution.population.fitness)[::-1][:again]
    children = survival.children(12)
    asked = evolution.ask()
    assert len(asked) == children + again
    assert ones(asked)[children:].tolist() == expected.tolist() or again == 12


def test_islands_have_their_own_survivors(start):
    settings = {"survival": Survival(elites=1), "islands": Islands(count=3, migrants=0)}
    evolution = Evolution(Vectorised(ones), start, seed=1, resampling=Resampling(evaluations=9), **settings)
    evolution.run(1)
    evolution.ask()
    assert (evolution._pending.again // 4).tolist() == [0, 1, 2]


def test_a_search_follows_an_optimum_that_moves(rng):
    class Moving:
        target = 1

        def __call__(self, population):
            return (population.bits() == self.target).sum(axis=1, dtype=float)

    values = {}
    for name, resampling in (("stuck", None), ("follows", Resampling(evaluations=1000, memory=2))):
        moving = Moving()
        start = Population.random(10, 30, rng)
        evolution = Evolution(Vectorised(moving), start, seed=1, survival=PLUS, resampling=resampling)
        evolution.run(80)
        moving.target = 0
        evolution.run(200)
        values[name] = moving(evolution.population).max()
    assert values["stuck"] < 15
    assert values["follows"] > 26


def test_every_says_how_often(start):
    evolution = Evolution(
        Vectorised(ones), start, seed=1, survival=PLUS, resampling=Resampling(evaluations=100, every=3)
    )
    evolution.run(8)
    assert evolution.logbook.select("resampled") == [0, 0, 0, 12, 0, 0, 12, 0]


def test_evaluations_count_all_and_numbers_genotypes_alone(start):
    evolution = Evolution(
        Vectorised(ones),
        start,
        seed=1,
        survival=PLUS,
        resampling=Resampling(evaluations=4),
        record=Record(lineage=True),
    )
    evolution.run(5)
    assert evolution.evaluations == 12 + 4 * 4 + evolution.estimates.repeats
    assert sum(evolution.logbook.select("resampled")) == evolution.estimates.repeats > 12
    assert len(evolution.lineage) == 12 + 4 * 4
    fitness = evolution.lineage.fitness[evolution.numbers, 0]
    assert fitness.tolist() == evolution.population.fitness.tolist()


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize("survival", [PLUS, Survival(elites=3)])
def test_a_run_with_resampling_resumes_bit_for_bit(start, frozen, tmp_path, waiting, survival):
    settings = {
        "survival": survival,
        "resampling": Resampling(evaluations=5, memory=3.5),
        "islands": Islands(count=2, interval=2),
        "record": Record(lineage=True),
    }
    evolution, straight = [Evolution(Vectorised(by_number), start, seed=1, **settings) for _ in range(2)]
    straight.run(9)
    evolution.run(4)
    if waiting:
        evolution.ask()
    save(tmp_path / "state", evolution.state_dict())
    resumed = Evolution.from_state(load(tmp_path / "state"), Vectorised(by_number))
    resumed.run(5)
    assert frozen(resumed.state_dict()) == frozen(straight.state_dict())
    assert resumed.interval()[0].tolist() == straight.interval()[0].tolist()


def test_a_damaged_estimate_is_refused(start):
    evolution = Evolution(Vectorised(ones), start, seed=1, survival=PLUS, resampling=Resampling(evaluations=5))
    evolution.run(3)
    state = evolution.state_dict()
    for change, message in (
        ({"counts": np.zeros(12, np.int64)}, "counts of estimates must be at least 1"),
        ({"counts": np.ones(3, np.int64)}, r"counts of estimates must be of shape \(12\)"),
        ({"variances": -np.ones((12, 1))}, "variances at least 0"),
        ({"repeats": -1}, "repeats of estimates must be a whole number"),
    ):
        with pytest.raises(ValueError, match=message):
            Evolution.from_state({**state, "estimates": {**state["estimates"], **change}})


@pytest.mark.parametrize(("again", "estimates"), [([0, 12], True), ([-1, 0], True), ([0, 1], False)])
def test_rows_that_cannot_be_evaluated_again_are_refused(start, again, estimates):
    evolution = Evolution(
        Vectorised(ones), start, seed=1, survival=Survival(elites=2), resampling=Resampling(evaluations=5)
    )
    evolution.run(2)
    evolution.ask()
    state = evolution.state_dict()
    state["asked"] = {**state["asked"], "again": np.array(again)}
    if not estimates:
        del state["estimates"]
    with pytest.raises(ValueError, match="the rows evaluated again must be below"):
        Evolution.from_state(state)


def test_another_population_begins_with_one_evaluation_each(start):
    evolution = Evolution(Vectorised(ones), start, seed=1, survival=PLUS, resampling=Resampling(evaluations=5))
    evolution.run(3)
    evolution.population = evolution.population[[0, 1, 2]]
    assert evolution.estimates.counts.tolist() == [1, 1, 1]
    evolution.run(2)


def test_constraints_are_measured_again_too(rng):
    def value_and_excess(population):
        found = ones(population)
        return np.stack([found, found - 5 + noise.normal(0, 0.5, len(found))], axis=1)

    noise = np.random.default_rng(1)
    evolution = Evolution(
        Vectorised(value_and_excess),
        Population.random(12, 24, rng, (1.0, -1.0)),
        seed=1,
        survival=PLUS,
        constraints=Constraints(count=1),
        resampling=Resampling(evaluations=20),
    )
    evolution.run(80)
    assert ones(Population.from_genotypes([evolution.best]))[0] <= 5


def test_own_operators_see_no_violation_below_0_with_resampling_either(rng):
    seen = []

    def watching(population, n, rng):
        seen.append(population.fitness[:, 1].min())
        return np.arange(n) % len(population)

    evolution = Evolution(
        lambda genotype: (sum(genotype), -1.0),
        Population.random(6, 24, rng, (1.0, -1.0)),
        seed=1,
        survival=PLUS,
        constraints=Constraints(count=1),
        resampling=Resampling(evaluations=3),
        operators=Operators(selection=watching, survival=watching),
    )
    evolution.run(3)
    assert seen == [0.0] * 4
    assert evolution.best.fitness.values[1] == -1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"survival": Survival(strategy="comma")}, "under survival by 'comma' there are none"),
        ({"survival": Survival(elites=0)}, "under survival by 0 elites there are none"),
        ({"record": Record(cache=9)}, "cannot keep the first fitness of a genotype, got cache"),
        ({"record": Record(hall_of_fame=9)}, "got hall_of_fame"),
        ({"record": Record(pareto_front=True)}, "got pareto_front"),
    ],
)
def test_what_contradicts_resampling_is_refused(start, settings, message):
    with pytest.raises(ValueError, match=message):
        Evolution(None, start, seed=1, resampling=Resampling(evaluations=2), **settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Resampling(evaluations=0), "evaluations must be at least 1, got 0"),
        (lambda: Resampling(every=0), "every must be at least 1, got 0"),
        (lambda: Resampling(memory=0.5), "memory must be at least 1, got 0.5"),
    ],
)
def test_a_resampling_that_is_not_allowed_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
