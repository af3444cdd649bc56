"""How own operators are called, and what they may return."""

from functools import partial

import numpy as np
import pytest
from deap import tools

from genoevo import Evolution, FlatLayout, Islands, Population, Selection, Survival
from genoevo.evaluation import Vectorised
from genoevo.operators import Operators, Origin, PerGenotype, Reproduction, crossover, selection
from tests.engine.evolutions import complement, ones


def swap(first, second, rng):
    """The second parents, as they are."""
    return second


def last(population, n, rng):
    return np.full(n, len(population) - 1)


def worst(population, n):
    return np.argsort(population.fitness, kind="stable")[:n]


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


def test_what_has_a_fitness_at_the_start_is_not_repaired(start):
    known = start.copy()
    known.fitness = ones(known)
    evolution = Evolution(Vectorised(ones), known, seed=1, operators=Operators(repair=complement))
    assert (evolution.ask().words == known.words).all()


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
