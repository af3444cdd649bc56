import time

import numpy as np
import pytest

from genoevo import Evolution, Population, Stop
from genoevo.evaluation import Vectorised
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
