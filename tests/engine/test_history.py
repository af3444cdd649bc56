from operator import attrgetter

import numpy as np
import pytest
from deap.tools import HallOfFame, MultiStatistics, ParetoFront, Statistics
from hypothesis import given
from hypothesis import strategies as st

import genoevo
from genoevo import Evolution, Genotype, Population, Record
from genoevo.evaluation import Vectorised
from genoevo.evolution.history import (
    COLUMNS,
    PopulationStatistics,
    hall_state,
    log_from_state,
    log_state,
    refill,
    update_hall_of_fame,
    update_pareto_front,
)
from genoevo.problems import OneMax

SHORT = st.text("01", min_size=1, max_size=3)


def worth(genotype, weights):
    """A fitness that is a genotype's own, with many ties in each objective and in all."""
    value = int("1" + str(genotype), 2)
    return [value % (2 + i) for i in range(len(weights))]


@st.composite
def generations(draw, weights):
    """Populations of mixed lengths, with repetitions, evaluated."""
    found = []
    for strings in draw(st.lists(st.lists(SHORT, min_size=1, max_size=12), min_size=1, max_size=5)):
        genotypes = [Genotype(string, weights) for string in strings]
        for genotype in genotypes:
            genotype.fitness.values = worth(genotype, weights)
        found.append(Population.from_genotypes(genotypes))
    return found


def fitness(hall):
    return [genotype.fitness.wvalues for genotype in hall]


@pytest.mark.parametrize("weights", [(1.0,), (-1.0,), (1.0, -1.0)])
@pytest.mark.parametrize("size", [1, 3, 50])
@given(data=st.data())
def test_the_hall_of_fame_is_as_good_as_deaps_own_of_all_genotypes(weights, size, data):
    ours, deaps = HallOfFame(size), HallOfFame(size)
    for population in data.draw(generations(weights)):
        update_hall_of_fame(ours, population)
        deaps.update(list(population))
        assert fitness(ours) == fitness(deaps)
        assert len(set(map(str, ours))) == len(ours)
        assert all(list(g.fitness.values) == worth(g, weights) for g in ours)


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 1.0), (1.0, -1.0, 1.0)])
@given(data=st.data())
def test_the_pareto_front_is_deaps_own_of_all_genotypes(weights, data):
    ours, deaps = ParetoFront(), ParetoFront()
    for population in data.draw(generations(weights)):
        update_pareto_front(ours, population)
        deaps.update(list(population))
        assert fitness(ours) == fitness(deaps)
        assert set(map(str, ours)) == set(map(str, deaps))


@pytest.mark.parametrize("update", [update_hall_of_fame, update_pareto_front])
def test_a_genotype_of_the_same_bits_and_more_zeros_is_another(update):
    hall = HallOfFame(5) if update is update_hall_of_fame else ParetoFront()
    population = Population.from_genotypes(["1", "10", "1"])
    population.fitness = [1, 1, 1]
    update(hall, population)
    assert sorted(map(str, hall)) == ["1", "10"]


def test_only_candidates_become_objects(rng, monkeypatch):
    population = Population.random(500, 64, rng)
    population.fitness = np.arange(500)
    hall = HallOfFame(4)
    update_hall_of_fame(hall, population)
    made = []
    single = Population.__getitem__
    monkeypatch.setattr(Population, "__getitem__", lambda self, i: made.append(i) or single(self, i))
    worse = single(population, slice(0, 400))
    update_hall_of_fame(hall, worse)
    assert made == []
    update_hall_of_fame(hall, population)
    assert len(made) == 3  # the members better than the last, once each


@pytest.mark.parametrize("make", [lambda: HallOfFame(6), ParetoFront])
def test_a_hall_of_fame_is_refilled_in_its_order(rng, make):
    hall, again = make(), make()
    population = Population.random(30, np.arange(1, 31), rng, weights=(1, -1))
    population.fitness = np.arange(30)[:, None] % 3 * [1, 1]
    hall.update(list(population))
    refill(again, hall_state(hall), (1.0, -1.0))
    assert list(map(str, again)) == list(map(str, hall))
    assert again.keys == hall.keys


def test_an_evolution_keeps_the_best_it_ever_saw(rng):
    seen = {}
    evolution = Evolution(
        Vectorised(OneMax(20)),
        Population.random(15, 20, rng),
        seed=1,
        record=Record(hall_of_fame=8, pareto_front=True),
    )
    for _ in range(15):
        seen |= {str(g): str(g).count("1") for g in evolution.ask()}
        evolution.step()
        assert fitness(evolution.hall_of_fame) == [(n,) for n in sorted(seen.values(), reverse=True)[:8]]
        assert set(map(str, evolution.pareto_front)) == {g for g, n in seen.items() if n == max(seen.values())}
    assert evolution.hall_of_fame[0].fitness == evolution.best.fitness


def test_without_a_record_nothing_is_kept(rng):
    evolution = Evolution(None, Population.random(4, 20, rng), seed=1)
    assert evolution.hall_of_fame is evolution.pareto_front is evolution.lineage is evolution.cache is None


def test_the_former_name_of_a_record_is_understood(rng):
    start = Population.random(4, 20, rng)
    assert genoevo.Memory is Record
    former = Evolution(None, start, seed=1, memory=Record(cache=3))
    assert former.record == former.memory == Record(cache=3)
    with pytest.raises(ValueError, match="memory is the former name of record: give one of the two"):
        Evolution(None, start, seed=1, memory=Record(), record=Record())


def registered(statistics):
    statistics.register("mean", np.mean)
    statistics.register("longest", max)
    return statistics


def test_statistics_of_a_population_are_those_of_its_genotypes(rng):
    population = Population.random(9, np.arange(1, 10), rng)
    one_by_one = registered(Statistics(len)).compile(population)
    assert registered(PopulationStatistics(attrgetter("lengths"))).compile(population) == one_by_one


@pytest.mark.parametrize("kind", ["deap", "population"])
def test_statistics_go_into_the_record_of_their_generation(rng, kind):
    statistics = {
        "deap": Statistics(lambda genotype: genotype.fitness.values[0]),
        "population": PopulationStatistics(attrgetter("fitness")),
    }[kind]
    statistics.register("worst", np.min)
    evolution = Evolution(Vectorised(OneMax(20)), Population.random(6, 20, rng), seed=1, statistics=statistics)
    for _ in range(3):
        evolution.step()
        assert evolution.logbook[-1]["worst"] == evolution.population.fitness.min()


@pytest.mark.parametrize("chapter", [False, True])
@pytest.mark.parametrize("name", ["generation", "evaluations", "best", "mean", "length", "failed"])
def test_statistics_named_like_a_column_of_the_log_are_refused(rng, name, chapter):
    statistics = Statistics(len)
    statistics.register(name, max)
    if chapter:
        statistics = MultiStatistics(bits=statistics)
    with pytest.raises(ValueError, match=f"statistics cannot be named {name}: the log has columns"):
        Evolution(None, Population.random(4, 20, rng), seed=1, statistics=statistics)


def test_a_chapter_named_like_a_column_of_the_log_is_refused(rng):
    statistics = MultiStatistics(length=Statistics(len), best=Statistics(len))
    with pytest.raises(ValueError, match="statistics cannot be named best, length: the log"):
        Evolution(None, Population.random(4, 20, rng), seed=1, statistics=statistics)


def test_the_columns_of_the_log_are_those_that_statistics_cannot_be_named(rng):
    evolution = Evolution(Vectorised(OneMax(20)), Population.random(4, 20, rng), seed=1)
    evolution.step()
    assert set(evolution.logbook[0]) == set(COLUMNS)


def several():
    statistics = MultiStatistics(
        fitness=PopulationStatistics(attrgetter("fitness")), bits=Statistics(lambda g: g.bits.sum())
    )
    statistics.register("quartiles", np.quantile, q=[0.25, 0.75])
    statistics.register("worst", np.min)
    return statistics


def test_several_statistics_become_chapters_of_the_logbook(rng):
    evolution = Evolution(Vectorised(OneMax(20)), Population.random(6, 20, rng), seed=1, statistics=several())
    evolution.run(3)
    assert evolution.logbook.chapters["bits"].select("worst") == evolution.logbook.chapters["fitness"].select("worst")
    assert evolution.logbook.chapters["bits"].select("generation") == [1, 2, 3]
    assert "quartiles" in str(evolution.logbook)


def test_each_chapter_has_its_own_columns_alone(rng):
    evolution = Evolution(Vectorised(OneMax(20)), Population.random(6, 20, rng), seed=1, statistics=several())
    evolution.run(2)
    assert dict(evolution.logbook.chapters["bits"][-1]).keys() == {"generation", "quartiles", "worst"}
    assert evolution.logbook.chapters["bits"].header == ["quartiles", "worst"]
    assert str(evolution.logbook).count("mean") == str(evolution.logbook).count("evaluations") == 1


def test_a_statistic_that_is_a_dict_is_a_chapter_of_its_own_columns_alone(rng):
    statistics = PopulationStatistics(attrgetter("fitness"))
    statistics.register("spread", lambda fitness: {"low": fitness.min(), "high": fitness.max()})
    evolution = Evolution(Vectorised(OneMax(20)), Population.random(6, 20, rng), seed=1, statistics=statistics)
    evolution.run(2)
    assert evolution.logbook.chapters["spread"].header == ["high", "low"]
    assert "spread" not in evolution.logbook[0]


def test_chapters_of_an_earlier_version_are_printed_with_their_own_columns_alone():
    first = dict.fromkeys(COLUMNS, 1)
    log = log_from_state(
        {"records": [first], "chapters": {"bits": {"records": [{**first, "worst": 3}], "chapters": {}}}}
    )
    assert log.chapters["bits"].header == ["worst"]


@pytest.mark.parametrize("statistics", [len, {"mean": np.mean}])
def test_what_is_not_statistics_is_refused(rng, statistics):
    with pytest.raises(TypeError, match="statistics must be a Statistics or MultiStatistics of DEAP, got"):
        Evolution(None, Population.random(4, 20, rng), seed=1, statistics=statistics)


def test_a_logbook_with_chapters_survives_the_round_trip(rng, frozen):
    evolution = Evolution(Vectorised(OneMax(20)), Population.random(6, 20, rng), seed=1, statistics=several())
    evolution.run(3)
    state = log_state(evolution.logbook)
    assert frozen(log_state(log_from_state(state))) == frozen(state)
    assert str(log_from_state(state)) == str(evolution.logbook)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hall_of_fame": -1}, "hall_of_fame must be at least 0, got -1"),
        ({"cache": -1}, "cache must be at least 0, got -1"),
    ],
)
def test_invalid_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        Record(**settings)


def test_a_search_whose_statistics_raise_can_be_resumed(rng):
    calls = iter(range(9))
    statistics = Statistics(len)
    statistics.register("late", lambda values: 1 / (1 - next(calls)))
    evolution = Evolution(Vectorised(OneMax(20)), Population.random(6, 20, rng), seed=1, statistics=statistics)
    with pytest.raises(ZeroDivisionError):
        evolution.run(3)
    again = Evolution.from_state(evolution.state_dict(), Vectorised(OneMax(20)))
    again.run(1)
    assert again.logbook.select("generation") == [1, 2, 3]
