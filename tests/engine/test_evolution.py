import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Evolution, FlatLayout, Genotype, Population, Record, Selection, Survival
from genoevo.evaluation import EvaluationError, InProcess, Vectorised
from genoevo.operators import Reproduction
from genoevo.problems import OneMax
from tests.engine.evolutions import evolved, ones, ones_and_length
from tests.engine.texts import strings


def arbitrary(genotype):
    """A fitness without any structure: a hash of the bits."""
    return int.from_bytes(hashlib.sha256(str(genotype).encode()).digest()[:6])


def test_the_first_ask_gives_the_given_population(start):
    assert strings(Evolution(None, start, seed=1).ask()) == strings(start)


def test_the_given_population_is_copied(start):
    evolution = Evolution(None, start, seed=1)
    before = strings(start)
    start.words[:] = 0
    assert strings(evolution.ask()) == before


@pytest.mark.parametrize("generations", [0, 3])
def test_ask_is_idempotent_and_draws_nothing_the_second_time(start, frozen, generations):
    evolution = evolved(Evolution(None, start, seed=1), generations)
    pending = strings(evolution.ask())
    state = frozen(evolution.state_dict())
    assert strings(evolution.ask()) == pending
    assert frozen(evolution.state_dict()) == state


@pytest.mark.parametrize("generations", [0, 1])
def test_changing_what_was_asked_for_changes_nothing_inside(start, generations):
    evolution = evolved(Evolution(None, start, seed=1), generations)
    pending = evolution.ask()
    before = strings(pending)
    pending.words[:] = 0
    assert strings(evolution.ask()) == before


@pytest.mark.parametrize("generations", [0, 2])
def test_tell_before_ask_is_refused(start, generations):
    evolution = evolved(Evolution(None, start, seed=1), generations)
    with pytest.raises(RuntimeError, match=r"tell\(\) before ask\(\)"):
        evolution.tell(np.zeros(12))


def test_step_without_a_function_is_refused(start):
    with pytest.raises(RuntimeError, match=r"no evaluate function; use ask\(\) and tell\(\)"):
        Evolution(None, start, seed=1).step()


@pytest.mark.parametrize("generations", [0, 2])
@pytest.mark.parametrize(
    ("fitness", "message"),
    [
        (lambda n: np.zeros(n - 1), r"fitness must have shape \((\d+), 1\) or \(\1,\), got \(\d+,\)"),
        (lambda n: np.zeros((n, 2)), r"fitness must have shape .*, got \(\d+, 2\)"),
        (lambda n: 0.0, r"fitness must have shape .*, got \(\)"),
        (lambda n: [0.0] * (n - 1) + [float("nan")], "a fitness cannot be NaN"),
    ],
    ids=["too few", "too many objectives", "scalar", "NaN"],
)
def test_bad_fitness_is_refused_and_changes_nothing(start, frozen, generations, fitness, message):
    evolution = evolved(Evolution(None, start, seed=1), generations)
    n = len(evolution.ask())
    before = frozen(evolution.state_dict())
    with pytest.raises(ValueError, match=message):
        evolution.tell(fitness(n))
    assert frozen(evolution.state_dict()) == before
    evolution.tell(np.zeros(n))
    assert evolution.generation == generations + 1


@pytest.mark.parametrize("values", [1.0, [1.0, 2.0], float("nan")])
def test_a_function_of_populations_that_returns_the_wrong_thing_is_refused(start, values):
    with pytest.raises(EvaluationError, match=r"returned fitness of shape \(.*\), not of shape \(12, 1\) or \(12,\)"):
        Evolution(Vectorised(lambda population: values), start, seed=1).step()


def test_a_failed_evaluation_can_be_repeated(start):
    flaky = iter([True, False])

    def evaluate(population):
        if next(flaky):
            raise OSError("the simulator crashed")
        return ones(population)

    evolution = evolved(Evolution(Vectorised(evaluate, isolate=False), start, seed=1), 1)
    with pytest.raises(EvaluationError, match="raised OSError: the simulator crashed"):
        evolution.step()
    evolution.step()
    assert strings(evolution.population) == strings(evolved(Evolution(None, start, seed=1), 2).population)


def test_what_is_no_function_is_refused(start):
    with pytest.raises(TypeError, match="evaluate must be callable, got int"):
        Evolution(3, start, seed=1)


def test_a_plain_function_is_called_genotype_by_genotype(start):
    plain, wrapped, vectorised = [
        Evolution(evaluate, start, seed=1)
        for evaluate in (lambda g: g.bits.sum(), InProcess(lambda g: g.bits.sum()), Vectorised(ones))
    ]
    for evolution in (plain, wrapped, vectorised):
        evolution.run(5)
    assert strings(plain.population) == strings(wrapped.population) == strings(vectorised.population)


@pytest.mark.parametrize("elites", [0, 1, 3])
def test_the_elites_survive_unchanged_and_only_children_are_evaluated(start, elites):
    evolution = evolved(Evolution(None, start, seed=1, survival=Survival(elites=elites)), 4)
    parents = evolution.population
    best = parents[np.argsort(-parents.fitness, kind="stable")[:elites]]
    children = evolution.ask()
    assert len(children) == 12 - elites
    evolution.tell(np.zeros(12 - elites))
    assert strings(evolution.population) == strings(best) + strings(children)
    assert evolution.population.fitness.tolist() == best.fitness.tolist() + [0.0] * (12 - elites)
    assert evolution.evaluations == 12 + 4 * (12 - elites)


@given(
    seed=st.integers(0, 999),
    elites=st.integers(1, 4),
    thresholds=st.sampled_from([(0.9, 1.0), (0.2, 0.4), (0.0, 0.0), (1.0, 1.0)]),
    rate=st.sampled_from([None, 0.5]),
)
def test_with_elites_the_best_of_the_population_never_worsens(seed, elites, thresholds, rate):
    rule = Reproduction(
        crossover_threshold=thresholds[0], mutation_threshold=thresholds[1], mutation_rate=rate, crossover="uniform"
    )
    start = Population.random(6, 20, np.random.default_rng(seed))
    evolution = Evolution(arbitrary, start, seed=seed, reproduction=rule, survival=Survival(elites=elites))
    tops = []
    for _ in range(8):
        evolution.step()
        tops.append(evolution.population.fitness.max())
        assert evolution.best.fitness.values[0] == tops[-1]
        assert arbitrary(evolution.best) == tops[-1]
    assert tops == sorted(tops)


def test_without_elites_the_best_ever_seen_is_still_known(start):
    rule = Reproduction(crossover_threshold=0, mutation_threshold=0)
    evolution = Evolution(arbitrary, start, seed=1, reproduction=rule, survival=Survival(elites=0))
    seen, lost = [], False
    for _ in range(20):
        evolution.step()
        seen.append(evolution.population.fitness.max())
        lost |= seen[-1] < max(seen)
        assert evolution.best.fitness.values[0] == max(seen)
    assert lost


def test_the_best_under_a_negative_weight_is_the_lowest(rng):
    evolution = Evolution(Vectorised(ones), Population.random(30, 32, rng, weights=(-1,)), seed=1)
    evolution.run(60)
    assert str(evolution.best) == "0" * 32
    assert evolution.best.fitness.values == (0.0,)


def test_several_objectives_are_maximised_lexicographically(mixed):
    evolution = Evolution(
        Vectorised(ones_and_length), Population(mixed.words, mixed.lengths, weights=(1, -1)), seed=1
    )
    evolution.run(5)
    best = max(evolution.population, key=lambda genotype: genotype.fitness)
    assert evolution.best.fitness == best.fitness
    assert evolution.population.fitness.shape == (9, 2)


def test_children_have_lengths_that_the_parents_had(mixed):
    evolution = Evolution(Vectorised(ones), mixed, seed=1)
    evolution.run(5)
    assert set(evolution.population.lengths.tolist()) <= set(mixed.lengths.tolist())


@pytest.mark.parametrize("size", [64, 100])
def test_the_optimum_of_onemax_is_found(rng, size):
    evolution = Evolution(Vectorised(OneMax(size)), Population.random(60, size, rng), seed=1)
    evolution.run(150)
    assert str(evolution.best) == "1" * size
    assert evolution.best.fitness.values == (size,)


def test_strong_selection_without_variation_fills_the_population_with_the_best(start):
    rule = Reproduction(crossover_threshold=0, mutation_rate=0)
    evolution = Evolution(
        Vectorised(ones),
        start,
        seed=1,
        reproduction=rule,
        selection=Selection(tournament_size=500),
        survival=Survival(elites=0),
    )
    evolution.run(2)
    assert strings(evolution.population) == [str(start[int(ones(start).argmax())])] * 12


def test_the_logbook_has_one_true_record_per_generation(mixed):
    evolution = Evolution(Vectorised(ones), mixed, seed=1, survival=Survival(elites=2))
    expected, best = [], 0.0
    for generation in range(1, 6):
        evolution.step()
        population = evolution.population
        best = max(best, float(population.fitness.max()))
        expected.append(
            {
                "generation": generation,
                "evaluations": 9 + 7 * (generation - 1),
                "best": best,
                "mean": pytest.approx(population.fitness.mean()),
                "length": pytest.approx(population.lengths.mean()),
                "failed": 0,
            }
        )
    assert list(evolution.logbook) == expected


def test_a_generation_makes_objects_of_few_genotypes(rng, monkeypatch):
    evolution = Evolution(
        Vectorised(OneMax(100)),
        Population.random(500, 100, rng),
        seed=1,
        record=Record(hall_of_fame=10, lineage=True),
    )
    made = []
    from_words = Genotype.from_words
    monkeypatch.setattr(Genotype, "from_words", lambda *a: made.append(a) or from_words(*a))
    for _ in range(60):
        before = len(made)
        evolution.step()
        assert len(made) - before <= 40


def test_the_seed_decides_the_run(onemax, frozen, start):
    runs = []
    for seed in (3, 3, 4):
        evolution = onemax(seed=seed)
        evolution.run(5)
        runs.append(frozen(evolution.state_dict()))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_told_fitness_may_be_the_worst_infinity_of_a_failure_and_is_counted(start):
    evolution = Evolution(None, start, seed=1)
    evolution.ask()
    evolution.tell([-np.inf, -np.inf, *range(10)])
    assert evolution.logbook[-1]["failed"] == 2
    assert evolution.logbook[-1]["mean"] == 4.5


@pytest.mark.parametrize(("weights", "fitness"), [((1,), [np.inf]), ((-1,), [-np.inf]), ((1, -1), [1, -np.inf])])
def test_told_fitness_may_not_be_another_infinity_and_nothing_is_changed(rng, frozen, weights, fitness):
    evolution = Evolution(None, Population.random(3, 5, rng, weights=weights), seed=1)
    pending = evolution.ask()
    before = frozen(evolution.state_dict())
    with pytest.raises(ValueError, match=r"finite, or the worst infinity for a failure, got -?inf under weight"):
        evolution.tell([[1] * len(weights), fitness, [0] * len(weights)])
    assert frozen(evolution.state_dict()) == before
    evolution.tell(np.ones((len(pending), len(weights))))


def test_segments_use_the_given_layout(start):
    rule = Reproduction(crossover="segments", crossover_threshold=1, mutation_rate=0)
    evolution = evolved(Evolution(None, start, seed=1, reproduction=rule, layout=FlatLayout(1)), 1)
    # One segment exchanged whole: every child is a copy of one of its parents.
    assert set(strings(evolution.ask())) <= set(strings(start))


def test_as_many_elites_as_genotypes_are_refused(start):
    with pytest.raises(ValueError, match="elites must be below the population's 12, got 12"):
        Evolution(None, start, seed=1, survival=Survival(elites=12))


def test_a_negative_number_of_generations_is_refused(onemax):
    with pytest.raises(ValueError, match="generations must be at least 0, got -1"):
        onemax().run(-1)
