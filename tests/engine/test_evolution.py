import hashlib
import re
from dataclasses import asdict
from functools import partial
from operator import attrgetter

import numpy as np
import pytest
from deap.tools import MultiStatistics, Statistics
from hypothesis import given
from hypothesis import strategies as st

from genoevo import Evolution, FlatLayout, Genotype, Islands, Memory, Population, Selection, StagedLayout, Survival
from genoevo.evaluation import EvaluationError, InProcess, Vectorised
from genoevo.history import PopulationStatistics
from genoevo.operators import Reproduction
from genoevo.problems import OneMax
from genoevo.state import load, save

IN_A_NEW_PROCESS = """
import sys
from genoevo import Evolution
from genoevo.evaluation import Vectorised
from genoevo.problems import OneMax
from genoevo.state import load, save
evolution = Evolution.from_state(load(sys.argv[1]), Vectorised(OneMax(60)))
evolution.run(int(sys.argv[2]))
save(sys.argv[3], evolution.state_dict())
"""


def ones(population):
    return population.bits().sum(axis=1, dtype=float)


def ones_and_length(population):
    return np.stack([ones(population), population.lengths], axis=1)


def arbitrary(genotype):
    """A fitness without any structure: a hash of the bits."""
    return int.from_bytes(hashlib.sha256(str(genotype).encode()).digest()[:6])


def strings(population):
    return [str(genotype) for genotype in population]


@pytest.fixture
def start(rng):
    return Population.random(12, 60, rng)


@pytest.fixture
def mixed(rng):
    return Population.random(9, np.array([StagedLayout(2).length(stage) for stage in (1, 2, 3) * 3]), rng)


@pytest.fixture
def onemax(start):
    return partial(Evolution, Vectorised(OneMax(60)), start, seed=7)


def told(evolution, generations):
    """The evolution after that many generations of OneMax through ask and tell."""
    for _ in range(generations):
        evolution.tell(ones(evolution.ask()))
    return evolution


def test_the_first_ask_gives_the_given_population(start):
    assert strings(Evolution(None, start, seed=1).ask()) == strings(start)


def test_the_given_population_is_copied(start):
    evolution = Evolution(None, start, seed=1)
    before = strings(start)
    start.words[:] = 0
    assert strings(evolution.ask()) == before


@pytest.mark.parametrize("generations", [0, 3])
def test_ask_is_idempotent_and_draws_nothing_the_second_time(start, frozen, generations):
    evolution = told(Evolution(None, start, seed=1), generations)
    asked = strings(evolution.ask())
    state = frozen(evolution.state_dict())
    assert strings(evolution.ask()) == asked
    assert frozen(evolution.state_dict()) == state


@pytest.mark.parametrize("generations", [0, 1])
def test_changing_what_was_asked_for_changes_nothing_inside(start, generations):
    evolution = told(Evolution(None, start, seed=1), generations)
    asked = evolution.ask()
    before = strings(asked)
    asked.words[:] = 0
    assert strings(evolution.ask()) == before


@pytest.mark.parametrize("generations", [0, 2])
def test_tell_before_ask_is_refused(start, generations):
    evolution = told(Evolution(None, start, seed=1), generations)
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
    evolution = told(Evolution(None, start, seed=1), generations)
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

    evolution = told(Evolution(Vectorised(evaluate), start, seed=1), 1)
    with pytest.raises(EvaluationError, match="raised OSError: the simulator crashed"):
        evolution.step()
    evolution.step()
    assert strings(evolution.population) == strings(told(Evolution(None, start, seed=1), 2).population)


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
    evolution = told(Evolution(None, start, seed=1, survival=Survival(elites=elites)), 4)
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
        memory=Memory(hall_of_fame=10, lineage=True),
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


STRAIGHT = [
    ("points", (0.9, 1.0), 1, ones),
    ("uniform", (0.5, 0.8), 0, ones),
    ("segments", (0.7, 0.7), 3, ones),
    ("points", (0.5, 0.9), 2, ones_and_length),
]


@pytest.mark.parametrize(("a", "b"), [(1, 1), (4, 6), (0, 5), (5, 0)])
@pytest.mark.parametrize(("kind", "thresholds", "elites", "evaluate"), STRAIGHT)
@pytest.mark.parametrize("through", ["object", "state", "file"])
def test_run_a_then_run_b_is_run_a_plus_b(mixed, frozen, tmp_path, kind, thresholds, elites, evaluate, a, b, through):
    layout = StagedLayout(2)
    weights = (1, -0.7) if evaluate is ones_and_length else (1,)
    evolution, straight = [
        Evolution(
            Vectorised(evaluate),
            Population(mixed.words, mixed.lengths, weights=weights),
            seed=5,
            layout=layout,
            reproduction=Reproduction(
                crossover=kind, crossover_threshold=thresholds[0], mutation_threshold=thresholds[1]
            ),
            survival=Survival(elites=elites),
        )
        for _ in range(2)
    ]
    straight.run(a + b)
    evolution.run(a)
    if through == "state":
        evolution = Evolution.from_state(evolution.state_dict(), Vectorised(evaluate), layout=layout)
    elif through == "file":
        save(tmp_path / "state", evolution.state_dict())
        evolution = Evolution.from_state(load(tmp_path / "state"), Vectorised(evaluate), layout=layout)
    evolution.run(b)
    assert frozen(evolution.state_dict()) == frozen(straight.state_dict())
    assert evolution.logbook == straight.logbook


def test_a_run_goes_on_in_a_new_process_bit_for_bit(onemax, frozen, tmp_path, run_python):
    evolution, straight = onemax(), onemax()
    evolution.run(6)
    save(tmp_path / "before", evolution.state_dict())
    run_python(IN_A_NEW_PROCESS, tmp_path / "before", 9, tmp_path / "after")
    straight.run(15)
    assert frozen(load(tmp_path / "after")) == frozen(straight.state_dict())


EVERYTHING = {
    "memory": Memory(hall_of_fame=5, pareto_front=True, lineage=True, cache=15),
    "islands": Islands(count=3, interval=2, topology="random", replace="random"),
    "selection": Selection(tournament_size=2),
    "reproduction": Reproduction(crossover_threshold=0.5, mutation_threshold=0.9),
}


def statistics():
    found = MultiStatistics(fitness=PopulationStatistics(attrgetter("fitness")), bits=Statistics(len))
    found.register("quartiles", np.quantile, q=[0.25, 0.75], axis=0)
    found.register("average", np.mean)
    return found


@pytest.mark.parametrize("through", ["state", "file"])
@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize(
    ("survival", "evaluate", "weights"),
    [
        (Survival(elites=2), ones, (1,)),
        (Survival(strategy="steady", offspring=2), ones, (-1,)),
        (Survival(strategy="plus", offspring=2), ones_and_length, (1, -1)),
        (Survival(strategy="comma", offspring=5), ones_and_length, (1, 1)),
        (Survival(strategy="plus", method="nsga2"), ones_and_length, (1, -1)),
    ],
)
def test_with_everything_on_a_resumed_run_goes_on_bit_for_bit(
    mixed, frozen, tmp_path, survival, evaluate, weights, waiting, through
):
    start = Population(mixed.words, mixed.lengths, weights=weights)
    evolution, straight = [
        Evolution(Vectorised(evaluate), start, seed=5, survival=survival, statistics=statistics(), **EVERYTHING)
        for _ in range(2)
    ]
    straight.run(9)
    evolution.run(4)
    if waiting:
        evolution.ask()
    state = evolution.state_dict()
    if through == "file":
        save(tmp_path / "state", state)
        state = load(tmp_path / "state")
    evolution = Evolution.from_state(state, Vectorised(evaluate), statistics=statistics())
    evolution.run(5)
    assert frozen(evolution.state_dict()) == frozen(straight.state_dict())
    assert str(evolution.logbook) == str(straight.logbook)


def test_with_everything_on_a_run_goes_on_in_a_new_process_bit_for_bit(start, frozen, tmp_path, run_python):
    evolution, straight = [Evolution(Vectorised(OneMax(60)), start, seed=5, **EVERYTHING) for _ in range(2)]
    evolution.run(6)
    save(tmp_path / "before", evolution.state_dict())
    run_python(IN_A_NEW_PROCESS, tmp_path / "before", 9, tmp_path / "after")
    straight.run(15)
    assert frozen(load(tmp_path / "after")) == frozen(straight.state_dict())


def parts(state, path=()):
    """The path of every key of a state and of the states inside it."""
    for key, value in state.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from parts(value, (*path, key))


def complete(start):
    evolution = Evolution(Vectorised(OneMax(60)), start, seed=5, **EVERYTHING)
    evolution.run(3)
    evolution.ask()
    return evolution.state_dict()


PARTS = list(parts(complete(Population.random(12, 60, np.random.default_rng(1)))))


@pytest.mark.parametrize("path", PARTS, ids=".".join)
def test_a_state_that_lacks_a_part_is_refused_by_name(start, path):
    state = complete(start)
    inner = state
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    message = "not of 'evolution'" if path == ("kind",) else path[-1]
    with pytest.raises(ValueError, match=message):
        Evolution.from_state(state)


@pytest.mark.parametrize("path", [path for path in PARTS if len(path) > 1], ids=".".join)
def test_a_state_with_a_number_in_place_of_a_part_is_refused(start, path):
    state = complete(start)
    state[path[0]] = 7
    with pytest.raises(ValueError, match="must be a dict, got int"):
        Evolution.from_state(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generation": "three"}, "generation must be a whole number of at least 0, got 'three'"),
        ({"generation": -1}, "generation must be a whole number of at least 0, got -1"),
        ({"generation": True}, "generation must be a whole number of at least 0, got True"),
        ({"best": None}, "an evolution of 3 generations has best None"),
        ({"numbers": np.arange(3)}, r"numbers must be of shape \(12\), got \(3,\)"),
        ({"numbers": [1, 2]}, "numbers must be an array of int64, got list"),
        ({"numbers": np.arange(12.0)}, "numbers must be an array of int64, got float64"),
        ({"log": {"records": [], "chapters": {}}}, "the log of 3 generations has 0 records"),
        (
            {"log": {"records": [{}] * 3, "chapters": {}}},
            "a record of the log must have a number 'generation', got None",
        ),
        ({"log": {"records": [1], "chapters": {}}}, "the records of a log must be a list of dicts"),
        ({"log": {"records": [], "chapters": []}}, "the chapters of a log must be a dict, got list"),
        ({"rng": {"bit_generator": "PCG64", "state": 1}}, "the state of a generator is damaged"),
        (
            {"survival": {**asdict(Survival()), "elites": "two"}},
            "Survival.elites must be of type int | None, got 'two'",
        ),
        ({"survival": {**asdict(Survival()), "elites": 1.5}}, "Survival.elites must be of type int | None, got 1.5"),
        ({"lineage": None}, "the state of a lineage must be a dict, got NoneType"),
        ({"cache": None}, "the state of a cache must be a dict, got NoneType"),
    ],
)
def test_a_state_with_a_damaged_part_is_refused_by_name(start, change, message):
    with pytest.raises(ValueError, match=message):
        Evolution.from_state({**complete(start), **change})


@pytest.mark.parametrize("other", [None, StagedLayout(2), FlatLayout(4)])
def test_a_state_with_another_layout_is_refused(start, other):
    state = Evolution(None, start, seed=1, layout=FlatLayout(2)).state_dict()
    message = f"with layout FlatLayout(precision=2, genes=None), got {other}"
    with pytest.raises(ValueError, match=re.escape(message)):
        Evolution.from_state(state, layout=other)


def test_a_layout_without_a_repr_of_its_own_is_known_by_its_class(start):
    class Plain(FlatLayout):
        __repr__ = object.__repr__

    state = Evolution(None, start, seed=1, layout=Plain()).state_dict()
    assert Evolution.from_state(state, layout=Plain()).layout == Plain()


def test_told_fitness_may_be_the_worst_infinity_of_a_failure_and_is_counted(start):
    evolution = Evolution(None, start, seed=1)
    evolution.ask()
    evolution.tell([-np.inf, -np.inf, *range(10)])
    assert evolution.logbook[-1]["failed"] == 2
    assert evolution.logbook[-1]["mean"] == 4.5


@pytest.mark.parametrize(("weights", "fitness"), [((1,), [np.inf]), ((-1,), [-np.inf]), ((1, -1), [1, -np.inf])])
def test_told_fitness_may_not_be_another_infinity_and_nothing_is_changed(rng, frozen, weights, fitness):
    evolution = Evolution(None, Population.random(3, 5, rng, weights=weights), seed=1)
    asked = evolution.ask()
    before = frozen(evolution.state_dict())
    with pytest.raises(ValueError, match=r"finite, or the worst infinity for a failure, got -?inf under weight"):
        evolution.tell([[1] * len(weights), fitness, [0] * len(weights)])
    assert frozen(evolution.state_dict()) == before
    evolution.tell(np.ones((len(asked), len(weights))))


@pytest.mark.parametrize("generations", [0, 3])
def test_a_state_taken_between_ask_and_tell_goes_on_there(start, frozen, generations):
    evolution = told(Evolution(None, start, seed=1), generations)
    asked = evolution.ask()
    resumed = Evolution.from_state(evolution.state_dict())
    resumed.tell(ones(asked))
    evolution.tell(ones(asked))
    assert frozen(told(resumed, 3).state_dict()) == frozen(told(evolution, 3).state_dict())


def test_a_state_is_a_snapshot_that_later_generations_do_not_change(onemax, frozen):
    evolution = onemax()
    evolution.run(3)
    state = evolution.state_dict()
    before = frozen(state)
    evolution.run(3)
    assert frozen(state) == before


def test_a_resumed_run_shares_nothing_with_its_state(onemax, frozen):
    evolution = onemax()
    evolution.run(3)
    state = evolution.state_dict()
    before = frozen(state)
    Evolution.from_state(state, Vectorised(ones)).run(3)
    assert frozen(state) == before


@pytest.mark.parametrize("kind", ["community", None])
def test_the_state_of_something_else_is_refused(onemax, kind):
    with pytest.raises(ValueError, match=f"this is the state of {kind!r}, not of 'evolution'"):
        Evolution.from_state({**onemax().state_dict(), "kind": kind})


@pytest.mark.parametrize("settings", ["reproduction", "selection", "survival", "islands", "memory"])
def test_an_unknown_setting_in_a_state_is_refused(onemax, settings):
    state = onemax().state_dict()
    state[settings] = {**state[settings], "speed": 9}
    with pytest.raises(ValueError, match=f"{settings.capitalize()} has no setting 'speed'"):
        Evolution.from_state(state)


def test_the_generator_of_a_state_must_be_pcg64(onemax):
    state = onemax().state_dict()
    state["rng"] = {**state["rng"], "bit_generator": "MT19937"}
    with pytest.raises(ValueError, match="the generator must be PCG64, got 'MT19937'"):
        Evolution.from_state(state)


def test_a_seed_of_a_generator_that_could_not_be_loaded_is_refused(onemax):
    with pytest.raises(ValueError, match="the generator must be PCG64, got 'Philox'"):
        onemax(seed=np.random.Philox(1))


def test_segments_use_the_given_layout(start):
    rule = Reproduction(crossover="segments", crossover_threshold=1, mutation_rate=0)
    evolution = told(Evolution(None, start, seed=1, reproduction=rule, layout=FlatLayout(1)), 1)
    # One segment exchanged whole: every child is a copy of one of its parents.
    assert set(strings(evolution.ask())) <= set(strings(start))


def test_as_many_elites_as_genotypes_are_refused(start):
    with pytest.raises(ValueError, match="elites must be below the population's 12, got 12"):
        Evolution(None, start, seed=1, survival=Survival(elites=12))


def test_a_negative_number_of_generations_is_refused(onemax):
    with pytest.raises(ValueError, match="generations must be at least 0, got -1"):
        onemax().run(-1)
