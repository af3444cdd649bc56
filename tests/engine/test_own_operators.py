"""Own operators inside an evolution: how they are called, what they may return, and what a state knows of them."""

import random
from functools import partial, wraps

import numpy as np
import pytest
from deap import tools

from genoevo import Evolution, FlatLayout, Islands, Population, Record, Selection, Survival
from genoevo.evaluation import Vectorised
from genoevo.operators import Operators, Origin, PerGenotype, Reproduction, crossover, selection
from genoevo.state import load, save
from tests.engine.evolutions import ones

RESUMED = """
import sys
from genoevo import Evolution
from genoevo.evaluation import Vectorised
from genoevo.state import load, save
from tests.engine.evolutions import ones
from tests.engine.test_own_operators import BATCH
evolution = Evolution.from_state(load(sys.argv[1]), Vectorised(ones), operators=BATCH)
evolution.run(4)
save(sys.argv[2], evolution.state_dict())
"""


def swap(first, second, rng):
    """The second parents, as they are."""
    return second


def complement(population, rng):
    return Population.from_bits(1 - population.bits(), population.lengths, population.weights)


def last(population, n, rng):
    return np.full(n, len(population) - 1)


def worst(population, n):
    return np.argsort(population.fitness, kind="stable")[:n]


def with_first_bit(population):
    bits = population.bits().copy()
    bits[:, 0] = 1
    return Population.from_bits(bits, population.lengths, population.weights)


def shuffled(population, rng):
    bits = rng.permuted(population.bits(), axis=1)
    return Population.from_bits(bits, population.lengths, population.weights)


def lottery(population, n, rng):
    return rng.integers(0, len(population), n)


BATCH = Operators(crossover=crossover.two_point, mutation=shuffled, selection=lottery, repair=with_first_bit)
DEAPS = Operators(
    crossover=PerGenotype(tools.cxTwoPoint),
    mutation=PerGenotype(partial(tools.mutFlipBit, indpb=0.1)),
    selection=PerGenotype(partial(tools.selTournament, tournsize=3)),
    survival=PerGenotype(tools.selBest),
)


def children_of(start, **settings):
    """The parents and the children of the second generation."""
    evolution = Evolution(Vectorised(ones), start, seed=3, **settings)
    evolution.run(1)
    return evolution, evolution.ask()


ALWAYS = Reproduction(crossover_threshold=1.0, mutation_rate=0.0)


def test_an_own_crossover_makes_the_children(start):
    evolution, children = children_of(start, reproduction=ALWAYS, operators=Operators(crossover=swap))
    numbers = evolution._pending.parents[:, 1]
    assert [str(child) for child in children] == [str(start[int(number)]) for number in numbers]


def test_a_crossover_of_ours_with_settings_is_an_own_operator(start):
    operators = Operators(crossover=partial(crossover.uniform, rate=1.0))
    evolution, children = children_of(start, reproduction=ALWAYS, operators=operators)
    assert [str(child) for child in children] == [str(start[int(n)]) for n in evolution._pending.parents[:, 1]]


def test_an_own_mutation_takes_the_place_of_flips(start):
    reproduction = Reproduction(crossover_threshold=0.0)
    evolution, children = children_of(start, reproduction=reproduction, operators=Operators(mutation=complement))
    parents = start[evolution._pending.parents[:, 0]]
    assert ((children.bits() ^ parents.bits()) == 1).all()


def test_an_own_mutation_spares_fresh_genotypes(start):
    reproduction = Reproduction(crossover_threshold=0.0, mutation_threshold=0.5)
    sizes = []

    def noting(population, rng):
        sizes.append(len(population))
        return population

    evolution, _ = children_of(start, reproduction=reproduction, operators=Operators(mutation=noting))
    assert sizes == [int((evolution._pending.origins == Origin.MUTATION).sum())]
    assert 0 < sizes[0] < 11


def test_an_own_selection_chooses_in_each_island(start):
    evolution, _ = children_of(start, islands=Islands(count=3), operators=Operators(selection=last))
    assert sorted(set(evolution._pending.parents[:, 0].tolist())) == [3, 7, 11]


def test_an_own_survival_chooses_under_the_strategy_and_need_not_draw(start):
    operators = Operators(survival=worst)
    evolution = Evolution(Vectorised(ones), start, seed=1, survival=Survival(strategy="plus"), operators=operators)
    evolution.run(1)
    before = evolution.population.fitness.max()
    evolution.run(5)
    assert evolution.population.fitness.max() < before


def test_a_survival_of_ours_is_an_own_operator(start, frozen):
    own, ours = [
        Evolution(Vectorised(ones), start, seed=1, survival=Survival(strategy="plus"), operators=operators)
        for operators in (Operators(survival=selection.truncation), None)
    ]
    for evolution in (own, ours):
        evolution.run(6)
    assert sorted(own.population.fitness) == sorted(ours.population.fitness)


def test_a_repair_is_kept_from_the_first_generation_on(start):
    evolution = Evolution(Vectorised(ones), start, seed=1, operators=Operators(repair=with_first_bit))
    for _ in range(3):
        assert evolution.ask().bits()[:, 0].all()
        evolution.step()
        assert evolution.population.bits()[:, 0].all()


def test_what_has_a_fitness_at_the_start_is_not_repaired(start):
    known = start.copy()
    known.fitness = ones(known)
    evolution = Evolution(Vectorised(ones), known, seed=1, operators=Operators(repair=complement))
    assert (evolution.ask().words == known.words).all()


def test_operators_of_deap_run_inside_an_evolution(rng):
    start = Population.random(30, 24, rng)
    evolution = Evolution(Vectorised(ones), start, seed=1, survival=Survival(strategy="plus"), operators=DEAPS)
    evolution.run(60)
    assert evolution.best.fitness.values == (24.0,)


def test_the_individuals_of_an_own_operator_have_their_fitness_and_are_copies(start):
    seen = []

    def spoil(individual):
        individual[:] = [1] * len(individual)
        return (individual,)

    def watch(individuals, k):
        seen.extend(individual.fitness.values[0] == sum(individual) for individual in individuals)
        individuals[0][:] = [0] * 60
        return individuals[:1] * k

    operators = Operators(selection=PerGenotype(watch), mutation=PerGenotype(spoil))
    evolution, children = children_of(start, operators=operators)
    assert all(seen)
    assert children.bits().all()
    assert (evolution.population.words == start.words).all()


@pytest.mark.parametrize("operators", [BATCH, DEAPS], ids=["batch", "deap"])
@pytest.mark.parametrize("waiting", [False, True])
def test_a_run_with_own_operators_resumes_bit_for_bit(start, frozen, tmp_path, operators, waiting):
    settings = {"operators": operators, "record": Record(lineage=True), "islands": Islands(count=2)}
    evolution, straight = [Evolution(Vectorised(ones), start, seed=5, **settings) for _ in range(2)]
    straight.run(7)
    evolution.run(3)
    if waiting:
        evolution.ask()
    save(tmp_path / "state", evolution.state_dict())
    random.seed(99)  # other code draws from the global generator, too
    resumed = Evolution.from_state(load(tmp_path / "state"), Vectorised(ones), operators=operators)
    resumed.run(4)
    assert frozen(resumed.state_dict()) == frozen(straight.state_dict())


def test_a_run_with_own_operators_resumes_in_a_new_process(start, frozen, tmp_path, run_python):
    evolution, straight = [Evolution(Vectorised(ones), start, seed=5, operators=BATCH) for _ in range(2)]
    evolution.run(3)
    save(tmp_path / "before", evolution.state_dict())
    run_python(RESUMED, tmp_path / "before", tmp_path / "after")
    straight.run(7)
    assert frozen(load(tmp_path / "after")) == frozen(straight.state_dict())


def test_the_global_generators_are_put_back(start):
    random.seed(4)
    expected = random.Random(4).random()
    Evolution(Vectorised(ones), start, seed=1, operators=DEAPS).run(3)
    assert random.random() == expected


def test_a_state_names_own_operators_and_holds_none(start):
    state = Evolution(None, start, seed=1, operators=DEAPS).state_dict()
    assert state["operators"]["crossover"] == "deap.tools.crossover:cxTwoPoint"
    assert state["operators"]["mutation"] == "deap.tools.mutation:mutFlipBit(indpb=0.1)"


def test_a_state_without_own_operators_is_as_before(onemax):
    assert not {"operators", "variation", "constraints", "resampling", "estimates"} & set(onemax().state_dict())


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        (None, "the own mutation .*test_own_operators:shuffled: give operators=Operators.mutation=.*, got None"),
        (Operators(mutation=complement), "the own mutation .*:shuffled: .*, got .*:complement"),
        (Operators(mutation=shuffled, repair=with_first_bit), "without an own repair, got .*:with_first_bit"),
    ],
)
def test_other_own_operators_than_the_states_are_refused_by_name(start, operators, message):
    state = Evolution(None, start, seed=1, operators=Operators(mutation=shuffled)).state_dict()
    with pytest.raises(ValueError, match=message):
        Evolution.from_state(state, operators=operators)


def test_a_function_of_a_program_is_the_same_when_it_is_imported(start):
    state = Evolution(None, start, seed=1, operators=Operators(mutation=shuffled)).state_dict()
    state["operators"] = {"mutation": "__main__:shuffled"}
    assert Evolution.from_state(state, operators=Operators(mutation=shuffled)).operators.mutation is shuffled


@pytest.mark.parametrize("operators", [[1], {"mutation": 5}])
def test_a_state_with_damaged_names_is_refused(start, operators):
    state = {**Evolution(None, start, seed=1).state_dict(), "operators": operators}
    with pytest.raises(ValueError, match=r"operators of a state must be a dict|the own mutation 5"):
        Evolution.from_state(state)


def test_the_lineage_names_own_operators(start):
    pytest.importorskip("networkx")
    settings = {
        "record": Record(lineage=True),
        "reproduction": Reproduction(crossover_threshold=0.5, mutation_threshold=0.9),
    }
    evolution = Evolution(Vectorised(ones), start, seed=5, operators=BATCH, **settings)
    evolution.run(6)
    lineage = Evolution.from_state(evolution.state_dict(), operators=BATCH).lineage
    shuffling, repairing = (
        "tests.engine.test_own_operators:shuffled",
        "tests.engine.test_own_operators:with_first_bit",
    )
    crossing = "genoevo.operators.crossover:two_point"
    made = {data["origin"]: data["operators"] for _, data in lineage.graph().nodes(data=True)}
    assert made == {
        "given": (repairing,),
        "crossover": (crossing, shuffling, repairing),
        "mutation": (shuffling, repairing),
        "fresh": (repairing,),
    }


def test_a_lineage_without_own_operators_is_as_before(start):
    evolution = Evolution(Vectorised(ones), start, seed=5, record=Record(lineage=True))
    evolution.run(2)
    assert "operators" not in evolution.state_dict()["lineage"]


BAD = {
    "mutation": [
        (lambda p, rng: p.bits(), TypeError, "mutation by .* must return a Population, got array"),
        (lambda p, rng: p[1:], ValueError, "must return 11 genotypes of weights .1.0,., got 10"),
        (PerGenotype(lambda a: [2] * 60), ValueError, "mutation by .* returned what is not a genotype"),
        (PerGenotype(lambda a: None), ValueError, "mutation by .* returned what is not a genotype"),
    ],
    "crossover": [
        (lambda a, b, rng: None, TypeError, "crossover by .* must return a Population, got None"),
        (PerGenotype(lambda a, b: a), ValueError, "crossover by .* must return two genotypes, got"),
    ],
    "selection": [
        (lambda p, n, rng: np.arange(n) - 1, ValueError, "selection by .* must return 22 rows below 12, got"),
        (lambda p, n, rng: np.zeros(n), ValueError, "must return 22 rows below 12"),
        (lambda p, n, rng: [0], ValueError, r"must return 22 rows below 12, got \[0\]"),
        (PerGenotype(lambda i, k: [list(i[0])] * k), ValueError, "must return 22 of the individuals"),
    ],
    "survival": [(lambda p, n: [0] * n, ValueError, "survival by .* chose a genotype twice")],
}


@pytest.mark.parametrize(("slot", "case"), [(slot, case) for slot, cases in BAD.items() for case in cases])
def test_what_an_own_operator_must_not_return_is_refused_by_its_name(start, slot, case):
    function, error, message = case
    survival = Survival(strategy="plus", offspring=11)
    evolution = Evolution(
        Vectorised(ones),
        start,
        seed=1,
        reproduction=Reproduction(crossover_threshold=1.0),
        survival=survival,
        operators=Operators(**{slot: function}),
    )
    with pytest.raises(error, match=message):
        evolution.run(2)


def test_an_own_operator_must_keep_to_the_layout(start):
    def longer(population, rng):
        return Population.from_bits(np.ones((len(population), 61)), weights=population.weights)

    evolution = Evolution(Vectorised(ones), start, seed=1, layout=FlatLayout(2), operators=Operators(mutation=longer))
    with pytest.raises(
        ValueError, match=r"mutation by .*longer returned what is not legal: length 61 is not a multiple"
    ):
        evolution.run(2)


@pytest.mark.parametrize("make", [lambda: Operators(mutation="flip"), lambda: PerGenotype(3)])
def test_what_cannot_be_called_is_refused(make):
    with pytest.raises(TypeError, match="must be callable, got"):
        make()


@pytest.mark.parametrize(
    ("slot", "operator", "message"),
    [
        ("crossover", tools.cxTwoPoint, r"f\(first, second, rng\), got deap.tools.crossover:cxTwoPoint"),
        ("crossover", lambda a, b: (a, b), r"f\(first, second, rng\), got .*<lambda>"),
        (
            "mutation",
            partial(tools.mutFlipBit, indpb=0.1),
            r"f\(population, ...\), got .*:mutFlipBit.indpb=0.1",
        ),
        ("selection", tools.selBest, r"f\(population, n, rng\), got deap.tools.selection:selBest"),
    ],
)
def test_an_operator_of_genotypes_is_refused_with_what_to_give(slot, operator, message):
    with pytest.raises(TypeError, match=f"{slot} must be {message}.*: if it takes genotypes, give PerGenotype"):
        Operators(**{slot: operator})


def test_operators_must_be_operators(start):
    with pytest.raises(TypeError, match="operators must be of type Operators, got"):
        Evolution(None, start, seed=1, operators=complement)


def test_settings_of_selection_reach_our_operators(rng):
    population = Population.random(10, 20, rng)
    population.fitness = np.arange(10)
    drawn = {
        pressure: np.bincount(
            Selection(method="ranking", pressure=pressure).parents(population, 4000, rng)[0], minlength=10
        )
        for pressure in (1.0, 2.0)
    }
    assert drawn[1.0][0] > 300
    assert drawn[2.0][0] == 0
    wide = Selection(method="lexicase", epsilon=9.0).parents(population, 500, rng)[0]
    assert len(set(wide.tolist())) == 10


def late(population, limit=9, rng=None):
    return shuffled(population, rng) if limit == 9 else limit


def by_name(population, *, rng):
    return shuffled(population, rng)


def under_another_name(population, generator):
    return shuffled(population, generator)


@wraps(late)
def wrapped(*given, **named):
    return late(*given, **named)


@pytest.mark.parametrize("repair", [late, by_name, under_another_name, wrapped, partial(late, limit=9)])
def test_the_generator_takes_the_place_of_no_other_parameter(repair):
    start = Population.random(8, 12, np.random.default_rng(0))
    evolution = Evolution(Vectorised(ones), start, seed=1, operators=Operators(repair=repair))
    evolution.run(2)
    assert evolution.generation == 2


def swap_points(first, second, points=2, rng=None):
    assert points == 2
    return swap(first, second, rng)


def swap_by_name(first, second, *, rng):
    return swap(first, second, rng)


@pytest.mark.parametrize("crossover", [swap_points, swap_by_name])
def test_a_crossover_gets_the_generator_by_its_name(crossover):
    start = Population.random(8, 12, np.random.default_rng(0))
    found = Operators(crossover=crossover).crossed(start, start[::-1], np.random.default_rng(1), None)
    assert np.array_equal(found.bits(), start[::-1].bits())


@pytest.mark.parametrize(
    ("slot", "operator", "what"),
    [
        ("repair", lambda population, limit=9: population, "'limit' has the place of the generator"),
        ("mutation", lambda population, generator=None: population, "'generator' has the place"),
        ("crossover", lambda a, b, points=2: a, "'points' has the place"),
        ("mutation", lambda rng, population: population, "rng must come after"),
        ("selection", lambda population: [], "takes 1 arguments, not 2"),
    ],
)
def test_a_parameter_at_the_place_of_the_generator_is_named(slot, operator, what):
    with pytest.raises(TypeError, match=what):
        Operators(**{slot: operator})
