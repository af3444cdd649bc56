"""What all algorithms have in common: the interface of Evolution, and exact resumption at any time."""

import copy

import numpy as np
import pytest

from genoevo import Genotype, Population, Record, Stop
from genoevo.algorithms import ALGORITHMS, LTGA, P3, FastGA, LambdaLambdaGA
from genoevo.checkpoint import Checkpoint
from genoevo.evaluation import EvaluationError, Failure, InProcess, Vectorised
from genoevo.history import PopulationStatistics
from genoevo.problems import HIFF, LeadingOnes, OneMax, Trap
from genoevo.state import load, save
from tests.engine.evolutions import ones

KINDS = {
    "fast-ga": (FastGA, {"offspring": 3}),
    "lambda-lambda-ga": (LambdaLambdaGA, {}),
    "ltga": (LTGA, {}),
    "ltga-one-size": (LTGA, {"interleaved": False}),
    "p3": (P3, {}),
    "p3-at-once": (P3, {"at_once": 5}),
}
each = pytest.mark.parametrize("name", KINDS)
RECORD = Record(hall_of_fame=3, lineage=True, cache=50)


def made(name, evaluate=None, size=20, start=None, **options):
    kind, settings = KINDS[name]
    if start is None:
        start = Population.random(4, size, np.random.default_rng(1))
    return kind(evaluate, start, seed=3, **settings, **options)


def played(search, times, function=ones):
    for _ in range(times):
        search.tell(function(search.ask()))
    return search


@each
def test_ask_and_tell_do_what_run_does(name, frozen):
    one, other = made(name, Vectorised(ones)), made(name)
    one.run(generations=6)
    while other.generation < 6:
        played(other, 1)
    assert frozen(one.state_dict()) == frozen(other.state_dict())


@each
def test_asking_twice_returns_equal_genotypes_and_draws_nothing(name, frozen):
    one, other = played(made(name), 5), played(made(name), 5)
    assert (one.ask().words == one.ask().words).all()
    other.ask()
    assert frozen(one.state_dict()) == frozen(other.state_dict())
    one.ask().words[:] = 0  # a copy
    assert frozen(played(one, 5).state_dict()) == frozen(played(other, 5).state_dict())


@each
def test_a_search_resumes_bit_for_bit_after_any_number_of_tells(name, frozen, tmp_path):
    trap = Trap(20)
    search, states = made(name, record=RECORD), []
    for _ in range(60):
        states.append(search.state_dict())
        search.ask()
        states.append(search.state_dict())
        played(search, 1, trap)
    end = frozen(search.state_dict())
    for done in (0, 1, 2, 3, 4, 7, 30, 59):
        for state in states[2 * done : 2 * done + 2]:
            save(tmp_path / "state.npz", state)
            resumed = type(search).from_state(load(tmp_path / "state.npz"))
            assert frozen(resumed.state_dict()) == frozen(state)
            assert frozen(played(resumed, 60 - done, trap).state_dict()) == end


@each
def test_a_state_does_not_change_as_the_search_runs(name, frozen):
    search = played(made(name), 5)
    state = search.state_dict()
    before = frozen(state)
    played(search, 10)
    assert frozen(state) == before


@each
def test_a_stop_counts_evaluations_within_a_generation(name):
    search = made(name, Vectorised(Trap(20)))
    assert search.run(stop=Stop(evaluations=50)) == "evaluations"
    assert 50 <= search.evaluations < 50 + (1 if name == "p3" else 20)
    generation = search.generation
    assert search.run(generations=2) == "generations"
    assert search.generation == generation + 2


@each
def test_the_log_and_the_callbacks_get_whole_generations(name):
    seen, statistics = [], PopulationStatistics(lambda population: population.fitness)
    statistics.register("top", np.max)
    search = made(name, Vectorised(ones), statistics=statistics, callbacks=[lambda it: seen.append(it.generation)])
    search.run(generations=5)
    assert seen == [record["generation"] for record in search.logbook] == [1, 2, 3, 4, 5]
    assert search.logbook[-1]["evaluations"] == search.evaluations
    assert search.logbook[-1]["best"] == search.best.fitness.values[0] == search.best.bits.sum()
    assert search.logbook[-1]["top"] == search.population.fitness.max()
    assert len(search.numbers) == len(search.population)


@each
def test_to_minimise_is_to_maximise_the_negative(name):
    start = Population.random(4, 20, np.random.default_rng(1))
    start.weights = (-2.0,)
    one, other = made(name, Vectorised(lambda it: -ones(it)), start=start), made(name, Vectorised(ones))
    one.run(generations=8)
    other.run(generations=8)
    assert str(one.best) == str(other.best)
    assert one.best.fitness.values[0] == -other.best.fitness.values[0]


@each
def test_what_is_recorded_is_what_was_evaluated(name):
    asked = []

    def evaluate(population):
        asked.extend(population)
        return ones(population)

    search = made(name, Vectorised(evaluate), record=Record(hall_of_fame=2, lineage=True))
    search.run(generations=8)
    assert len(search.lineage.fitness) == len(asked) == search.evaluations
    assert search.lineage.fitness[:, 0].tolist() == [genotype.bits.sum() for genotype in asked]
    assert search.hall_of_fame[0].fitness.values == search.best.fitness.values
    for number, genotype in zip(search.numbers.tolist(), search.population, strict=True):
        assert str(asked[number]) == str(genotype)
    for child, (one, other) in zip(asked, search.lineage.parents.tolist(), strict=True):
        if other >= 0:  # bits of two parents
            assert ((child.bits == asked[one].bits) | (child.bits == asked[other].bits)).all()


@each
def test_the_fitness_of_genotypes_to_start_from_counts(name):
    start = Population.from_bits([[0, 1] * 10, [1, 1] * 10])
    start.fitness = [5.0, 20.0]
    asked = []

    def evaluate(population):
        asked.extend(map(str, population))
        return ones(population)

    made(name, Vectorised(evaluate), start=start).run(generations=1)
    assert not {"01" * 10, "1" * 20} & set(asked[:2])
    again = made(name, Vectorised(evaluate), start=start, reevaluate=True)
    asked.clear()
    again.run(generations=1)
    assert "01" * 10 in asked


@each
def test_a_failed_evaluation_is_the_worst_and_counted_by_reason(name):
    def sometimes(genotype):
        if genotype.bits[0]:
            raise ZeroDivisionError("first bit")
        return float(genotype.bits.sum())

    start = Population.from_bits(np.eye(4, 20, dtype=int)[::-1])
    search = made(name, InProcess(sometimes, failure=Failure(action="worst", limit=None)), start=start)
    search.run(generations=4)
    assert search.failures == {"raised ZeroDivisionError: first bit": sum(it["failed"] for it in search.logbook)}
    assert search.failures
    assert not search.best.bits[0]


@each
def test_evaluations_in_a_row_that_fail_end_the_search(name):
    search = made(name, InProcess(lambda genotype: None, failure=Failure(action="worst", limit=10)))
    with pytest.raises(EvaluationError, match=r"evaluations? failed"):
        search.run(generations=1000)
    assert search.evaluations < 10


@each
def test_a_checkpoint_saves_and_resumes(name, tmp_path, frozen):
    path = tmp_path / "search.npz"
    with Checkpoint(path, every=1) as checkpoint:
        search = made(name, Vectorised(ones), callbacks=[checkpoint])
        search.run(generations=3)
        resumed = type(search).from_state(checkpoint.load(), Vectorised(ones))
    search.callbacks = ()
    search.run(generations=3)
    resumed.run(generations=3)
    assert frozen(resumed.state_dict()) == frozen(search.state_dict())


@each
@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.0,)])
def test_only_one_objective_that_counts_is_allowed(name, weights):
    with pytest.raises(ValueError, match="needs one objective with a weight other than 0"):
        made(name, start=Population.random(4, 20, np.random.default_rng(1), weights))


@each
def test_genotypes_of_one_bit_are_searched(name):
    search = made(name, Vectorised(ones), start=Population.from_bits([[0], [0]]))
    assert search.run(stop=Stop(target=1, evaluations=200)) == "target"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda start: P3(None, start, seed=1, at_once=0), "at_once must be a whole number from 1 to 10000, got 0"),
        (
            lambda start: LTGA(None, start[:1], seed=1),
            "the size of LTGA's population must be a whole number",
        ),
        (lambda start: LTGA(None, start, seed=1, interleaved=1), "interleaved must be True or False, got 1"),
        (lambda start: FastGA(None, start, seed=1, beta=1), "beta must be above 1 and finite, got 1"),
        (lambda start: FastGA(None, start, seed=1, offspring=0.5), "offspring must be a whole number"),
        (lambda start: FastGA(None, start, seed=1, reevaluate=1), "reevaluate must be True or False, got 1"),
        (lambda start: FastGA(None, [], seed=1), "a population has at least 1 genotype"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(make, message, start):
    with pytest.raises(ValueError, match=message):
        make(start)


def test_there_is_nothing_to_tell_before_asking(start):
    search = P3(None, start, seed=1)
    with pytest.raises(RuntimeError, match="before ask"):
        search.tell([1.0])
    with pytest.raises(RuntimeError, match="P3 has no evaluate function"):
        search.step()


def check_short(error):
    assert 0 < len(str(error)) < 1000


def damaged(state):
    """Copies of *state* in each of which one part is missing, or is another number, text or array."""
    for key in state:
        yield {name: value for name, value in state.items() if name != key}
        for wrong in (-1, "x", None, np.zeros(2), np.full(3, np.nan), [1], {}, True, 10**9):
            yield {**state, key: wrong}
        if isinstance(state[key], dict):
            for inner in damaged(state[key]):
                yield {**state, key: inner}


@each
def test_a_damaged_state_is_refused_or_goes_on(name):
    search = played(made(name, record=RECORD), 25, Trap(20))
    for state in damaged(search.state_dict()):
        try:
            resumed = type(search).from_state(copy.deepcopy(state))
        except ValueError as error:
            check_short(error)
        else:
            played(resumed, 2, Trap(20))


def test_the_state_of_another_algorithm_is_refused(start):
    state = played(FastGA(None, start, seed=1), 2).state_dict()
    with pytest.raises(ValueError, match="this is the state of 'fast-ga', not of 'p3'"):
        P3.from_state(state)


def test_fitness_told_that_does_not_fit_the_generation_is_refused(start):
    state = played(P3(None, start, seed=1), 30).state_dict()
    for told in (state["told"][:-1].repeat(100), np.full(len(state["told"]), np.nan)):
        with pytest.raises(ValueError, match="told"):
            P3.from_state({**state, "told": told})


def test_a_cluster_past_the_common_prefix_is_refused(rng):
    search = P3(Vectorised(ones), Population.random(6, np.array([10, 20] * 3), rng), seed=1)
    search.run(generations=4)
    state = search.state_dict()
    state["own"]["levels"][0]["clusters"] = np.array([[1 << 15]], dtype=np.uint64)
    with pytest.raises(ValueError, match="a cluster has bits that not all genotypes have"):
        P3.from_state(state)


def test_the_fast_ga_keeps_the_best_child_unless_it_is_worse(rng):
    search = FastGA(None, Population.random(5, 30, rng), seed=1, offspring=4)
    asked = search.ask()
    search.tell(ones(asked))
    for _ in range(50):
        parent, before = search.population.words[0], search.population.fitness[0]
        children = search.ask()
        assert (children.words != parent).any(axis=1).all()
        values = ones(children)
        search.tell(values)
        expected = max(before, values.max())
        assert search.population.fitness[0] == expected


@pytest.mark.parametrize(("kind", "least"), [(FastGA, 500), (LambdaLambdaGA, 300)])
def test_onemax_takes_about_as_long_as_published(kind, least):
    """About 1.2 e n ln n for heavy tails, and linear time for the self-adjusting GA, at n = 100."""
    problem, spent = OneMax(100), []
    for seed in range(8):
        search = kind(Vectorised(problem), problem.random(1, np.random.default_rng(seed)), seed=seed)
        assert search.run(stop=Stop(target=100, evaluations=5000)) == "target"
        spent.append(search.evaluations)
    assert least < np.median(spent) < 3 * least


def test_a_generation_of_the_lambda_lambda_ga_is_as_published(rng):
    search = LambdaLambdaGA(None, Population.random(1, 60, rng), seed=1)
    played(search, 1, LeadingOnes(60))
    crossed = 0
    while search.generation < 300:
        parent, before, strength = search.population.words[0], search.population.fitness[0], search.strength
        generation, mutants = search.generation, search.ask()
        flips = np.bitwise_count(mutants.words ^ parent).sum(axis=1)
        assert len(mutants) == round(strength)
        assert len(set(flips.tolist())) == 1
        assert flips[0] > 0
        values = LeadingOnes(60)(mutants)
        search.tell(values)
        best = values.max()
        if search.generation == generation:
            children, mutant = search.ask(), mutants.words[values.argmax()]
            assert len(children) <= round(strength)
            assert not ((children.words ^ parent) & ~(parent ^ mutant)).any()
            assert ((children.words != parent).any(axis=1) & (children.words != mutant).any(axis=1)).all()
            values = LeadingOnes(60)(children)
            search.tell(values)
            best, crossed = max(best, values.max()), crossed + 1
        if best > before:
            assert search.strength == max(strength / 1.5, 1)
        else:
            assert search.strength == (strength * 1.5**0.25 if strength * 1.5**0.25 <= 60 else 1)
        assert search.population.fitness[0] == max(best, before)
    assert crossed > 100


def test_a_lambda_above_the_number_of_bits_becomes_one():
    search = LambdaLambdaGA(Vectorised(lambda it: -ones(it)), Population.from_bits([[0] * 8]), seed=1)
    search.run(generations=60)
    strengths = []
    search.callbacks = (lambda it: strengths.append(it.strength),)
    search.run(generations=60)
    assert 1.0 in strengths
    assert max(strengths) <= 8


def test_algorithms_are_found_by_name():
    assert set(ALGORITHMS) == {"fast-ga", "lambda-lambda-ga", "ltga", "p3"}


def test_a_function_of_one_genotype_is_enough():
    problem = HIFF(16)

    def evaluate(genotype: Genotype) -> float:
        return float(problem(Population.from_genotypes([genotype]))[0])

    search = P3(evaluate, ["0110" * 4], seed=1)
    assert search.run(stop=Stop(target=problem.optimum, evaluations=5000)) == "target"
