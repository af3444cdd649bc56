import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Evolution, Population, Selection, Stop, Survival
from genoevo.algorithms import P3
from genoevo.evaluation import Vectorised
from genoevo.evolution.stops import front_advances
from genoevo.problems import OneMax
from genoevo.state import load, save


@pytest.fixture
def make(rng):
    start = Population.random(10, 30, rng)

    def make(weights=(1.0,)):
        population = Population(start.words, start.lengths, weights=weights)
        return Evolution(Vectorised(OneMax(30)), population, seed=1)

    return make


def test_a_number_of_generations_is_run_and_said(make):
    evolution = make()
    assert evolution.run(3) == "generations"
    assert evolution.generation == 3
    assert evolution.run(2) == "generations"
    assert evolution.generation == 5


def test_generations_of_a_stop_count_from_the_beginning(make):
    evolution = make()
    evolution.run(3)
    assert evolution.run(stop=Stop(generations=5)) == "generations"
    assert evolution.generation == 5


def test_no_generation_begins_once_the_evaluations_are_spent(make):
    evolution = make()
    assert evolution.run(stop=Stop(evaluations=40)) == "evaluations"
    assert evolution.evaluations == 10 + 4 * 9


def test_a_target_stops_the_run_in_the_generation_that_reaches_it(make):
    evolution = make()
    assert evolution.run(stop=Stop(target=25)) == "target"
    assert evolution.logbook[-1]["best"] >= 25 > evolution.logbook[-2]["best"]


def test_a_target_under_a_negative_weight_is_reached_from_above(make):
    evolution = make(weights=(-1.0,))
    assert evolution.run(stop=Stop(target=5)) == "target"
    assert evolution.logbook[-1]["best"] <= 5 < evolution.logbook[-2]["best"]


def test_stagnation_counts_generations_without_a_better_best(make):
    evolution = make()
    assert evolution.run(stop=Stop(stagnation=7)) == "stagnation"
    assert evolution.stagnant == 7
    best = evolution.logbook.select("best")
    assert best[-8] == best[-1] > best[-9]
    bettered = np.flatnonzero(np.diff(best, prepend=0))
    assert np.diff(bettered).max() <= 7


def test_a_hypervolume_may_be_asked_for_within_the_first_generation(rng):
    search = P3(sum, Population.random(4, 12, rng), seed=1)
    assert search.run(stop=Stop(hypervolume=11.5, reference=(0,), evaluations=1000)) == "hypervolume"


def test_wall_time_stops_a_run_and_counts_from_its_beginning(make):
    evolution = make()
    evolution.callbacks = (lambda _: time.sleep(0.02),)
    for _ in range(2):
        before = evolution.generation
        assert evolution.run(stop=Stop(seconds=0.1)) == "seconds"
        assert 1 <= evolution.generation - before <= 6


def test_a_predicate_sees_the_evolution_before_each_generation(make):
    seen = []

    def enough(evolution):
        seen.append(evolution.generation)
        return evolution.generation == 4

    assert make().run(stop=Stop(predicate=enough)) == "predicate"
    assert seen == [0, 1, 2, 3, 4]


def test_whichever_comes_first_ends_the_run(make):
    stop = Stop(target=30, generations=1000, stagnation=1000, evaluations=10_000, seconds=60)
    assert make().run(stop=stop) == "target"
    assert make().run(2, stop=stop) == "generations"


def test_what_already_holds_runs_nothing(make):
    evolution = make()
    evolution.run(stop=Stop(target=20))
    before = evolution.generation
    assert evolution.run(100, stop=Stop(target=20)) == "target"
    assert evolution.generation == before


@pytest.mark.parametrize("stop", [Stop(stagnation=9), Stop(evaluations=300), Stop(generations=33)])
def test_a_resumed_run_stops_where_an_unbroken_one_does(make, tmp_path, frozen, stop):
    straight, evolution = make(), make()
    reason = straight.run(stop=stop)
    evolution.run(straight.generation - 4)
    save(tmp_path / "state", evolution.state_dict())
    evolution = Evolution.from_state(load(tmp_path / "state"), Vectorised(OneMax(30)))
    assert evolution.run(stop=stop) == reason
    assert frozen(evolution.state_dict()) == frozen(straight.state_dict())


def test_callbacks_are_called_in_turn_after_each_generation(make):
    calls = []
    evolution = Evolution(
        Vectorised(OneMax(30)),
        make().population,
        seed=1,
        callbacks=[lambda e: calls.append(("a", e.generation)), lambda e: calls.append(("b", len(e.logbook)))],
    )
    evolution.step()
    evolution.tell(np.zeros(len(evolution.ask())))
    assert calls == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_a_run_without_an_end_is_refused(make):
    with pytest.raises(ValueError, match=r"run\(\) needs a number of generations or a stop"):
        make().run()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "a stop needs at least one condition"),
        ({"generations": -1}, "generations must be at least 0, got -1"),
        ({"evaluations": -1}, "evaluations must be at least 0, got -1"),
        ({"stagnation": -1}, "stagnation must be at least 0, got -1"),
        ({"seconds": float("nan")}, "seconds must be at least 0, got nan"),
    ],
)
def test_invalid_stops_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        Stop(**settings)


def test_a_stop_alone_is_enough(make):
    assert make().run(Stop(generations=3)) == "generations"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((2.5,), {}), ValueError, "generations must be a whole number, got 2.5"),
        ((("10",), {}), ValueError, "generations must be a whole number, got '10'"),
        (((True,), {}), ValueError, "generations must be a whole number, got True"),
        (((), {"stop": 100}), TypeError, r"stop must be a Stop, got 100: write run\(100\)"),
        (
            ((), {"stop": lambda e: True}),
            TypeError,
            r"got <function.*: write run\(stop=Stop\(predicate=...\)\)",
        ),
        (((Stop(generations=1),), {"stop": Stop(generations=1)}), TypeError, r"run\(\) takes one stop, got two"),
    ],
)
def test_an_end_that_is_none_is_refused_with_what_to_write(make, arguments, error, message):
    with pytest.raises(error, match=message):
        make().run(*arguments[0], **arguments[1])


@pytest.mark.parametrize(
    "predicate",
    [
        lambda e: e.best.fitness.values[0] >= 20,
        lambda e: e.logbook[-1]["best"] >= 20,
        lambda e: max(e.logbook.select("best")) >= 20,
    ],
    ids=["AttributeError", "IndexError", "ValueError"],
)
def test_a_predicate_that_needs_a_fitness_is_false_before_the_first(make, predicate):
    evolution = make()
    assert evolution.run(Stop(predicate=predicate)) == "predicate"
    assert evolution.best.fitness.values[0] >= 20


@pytest.mark.parametrize(("predicate", "generation"), [(lambda e: e.bset, 1), (lambda e: nowhere, 0)])  # noqa: F821
def test_a_mistake_in_a_predicate_is_raised(make, predicate, generation):
    evolution = make()
    with pytest.raises((AttributeError, NameError)):
        evolution.run(Stop(predicate=predicate))
    assert evolution.generation == generation


def two_ends(population):
    """Zeros before the first one, and ones after the last zero: a front of 7 for 6 bits."""
    bits = population.bits()
    zeros, ones = np.cumprod(1 - bits, axis=1).sum(axis=1), np.cumprod(bits[:, ::-1], axis=1).sum(axis=1)
    return np.stack([zeros, ones], axis=1)


@pytest.fixture
def nsga2(rng):
    return Evolution(
        Vectorised(two_ends),
        Population.random(20, 6, rng, weights=(1, 1)),
        seed=1,
        selection=Selection(method="crowded", tournament_size=2),
        survival=Survival(strategy="plus", method="nsga2"),
    )


def test_under_nsga2_stagnation_is_that_of_the_front(nsga2):
    fronts = []
    nsga2.callbacks = [lambda e: fronts.append({tuple(values) for values in e.population.fitness})]
    assert nsga2.run(Stop(stagnation=9)) == "stagnation"
    assert nsga2.front_stagnant == 9
    assert len(fronts[-1]) == 7
    assert all(front == fronts[-1] for front in fronts[-10:])
    assert fronts[-11] != fronts[-1]


def test_under_nsga2_the_best_may_be_asked_for_instead(nsga2):
    assert nsga2.run(Stop(stagnation=3, progress="best")) == "stagnation"
    assert nsga2.stagnant == 3
    assert nsga2.front_stagnant < 3


def test_the_stagnation_of_a_front_survives_a_restart(nsga2, tmp_path):
    nsga2.run(Stop(stagnation=4))
    save(tmp_path / "state", nsga2.state_dict())
    again = Evolution.from_state(load(tmp_path / "state"), Vectorised(two_ends))
    assert again.front_stagnant == 4
    assert again.run(Stop(stagnation=6)) == "stagnation"
    assert nsga2.run(Stop(stagnation=6)) == "stagnation"
    assert again.generation == nsga2.generation


def test_a_state_without_the_stagnation_of_a_front_is_read(nsga2):
    nsga2.run(2)
    state = nsga2.state_dict()
    del state["front_stagnant"]
    again = Evolution.from_state(state, Vectorised(two_ends))
    again.step()
    assert again.front_stagnant in (0, 1)


def test_progress_of_a_front_is_refused_if_there_is_none(make):
    with pytest.raises(ValueError, match=r"progress 'front' needs Survival\(method='nsga2'\) and several objectives"):
        make().run(Stop(stagnation=1, progress="front"))


@given(data=st.data())
def test_a_front_advances_exactly_if_a_child_is_not_weakly_dominated(data):
    rows = st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=1, max_size=6)
    children, parents = data.draw(rows), data.draw(rows)
    made = []
    for values in (children, parents):
        population = Population.from_genotypes(["1"] * len(values), weights=(1, -1))
        population.fitness = values
        made.append(population)
    plain = any(not any(p[0] >= c[0] and p[1] <= c[1] for p in parents) for c in children)
    assert front_advances(*made) == plain


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"generations": 2.5}, ValueError, "generations must be a whole number, got 2.5"),
        ({"target": "30"}, ValueError, "target must be a number, got '30'"),
        ({"target": float("nan")}, ValueError, "target must be a number, got nan"),
        ({"predicate": True}, TypeError, "predicate must be a function of the evolution, got True"),
        ({"progress": "front"}, ValueError, "a stop needs at least one condition"),
        ({"progress": "front", "seconds": 1}, ValueError, "progress needs a stagnation, got 'front' alone"),
        ({"progress": "pareto", "stagnation": 1}, ValueError, "progress must be one of best, front, got 'pareto'"),
    ],
)
def test_stops_that_cannot_be_are_refused_before_the_run(settings, error, message):
    with pytest.raises(error, match=message):
        Stop(**settings)


@pytest.mark.parametrize("answer", ["no", (1.0,), 3, np.array([True, False])], ids=lambda a: type(a).__name__)
def test_a_predicate_that_answers_something_else_is_refused(make, answer):
    with pytest.raises(ValueError, match="what a predicate returns must be True or False, got"):
        make().run(Stop(predicate=lambda evolution: answer))


def test_a_predicate_may_answer_by_numpy_or_not_at_all(make):
    answers = iter([None, np.False_, False, np.True_])
    evolution = make()
    assert evolution.run(Stop(predicate=lambda _: next(answers))) == "predicate"
    assert evolution.generation == 3
