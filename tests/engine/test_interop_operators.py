"""What DEAP's operators, halls of fame and statistics are given and give back."""

from functools import partial

import numpy as np
import pytest
from deap import tools

from genoevo import Genotype
from genoevo.operators import crossover, mutation, selection
from tests.engine.toolboxes import evaluated, toolbox_for


@pytest.fixture
def two_objectives():
    texts = ["0000", "0001", "0011", "0111", "1000", "1100", "1110", "1111"]
    genotypes = [Genotype(text, weights=(1.0, -1.0)) for text in texts]
    for genotype in genotypes:
        genotype.fitness.values = (genotype.bits[:2].sum(), genotype.bits.sum())
    return genotypes


def test_mate_returns_two_new_genotypes_and_leaves_its_arguments_untouched(toolbox):
    parents = evaluated([Genotype("0" * 10), Genotype("1" * 80)])
    children = toolbox.mate(*parents)
    assert [str(parent) for parent in parents] == ["0" * 10, "1" * 80]
    assert all(parent.fitness.valid for parent in parents)
    assert [len(child) for child in children] == [10, 80]
    assert not any(child.fitness.valid for child in children)
    assert str(children[1]) == "".join("10"[int(bit)] for bit in str(children[0])) + "1" * 70
    assert str(children[0]) != "0" * 10


def test_mutate_returns_one_new_genotype_in_a_tuple(toolbox):
    (parent,) = evaluated([Genotype("01" * 40)])
    mutants = {toolbox.mutate(parent)[0] for _ in range(20)}
    assert str(parent) == "01" * 40
    assert parent.fitness.valid
    assert len(mutants) > 1
    assert {len(mutant) for mutant in mutants} == {80}


def test_select_returns_the_given_objects(toolbox):
    genotypes = evaluated(toolbox.population(5))
    chosen = toolbox.select(genotypes, 50)
    assert len(chosen) == 50
    assert all(any(one is genotype for genotype in genotypes) for one in chosen)


@pytest.mark.parametrize("select", [selection.truncation, selection.nsga2])
def test_a_selection_that_draws_nothing_needs_no_generator(two_objectives, select):
    toolbox, _ = toolbox_for(select=select)
    best = max(two_objectives, key=lambda genotype: genotype.fitness)
    assert toolbox.select(two_objectives, 1)[0] is best
    assert len(toolbox.select(two_objectives, 8)) == 8


@pytest.mark.parametrize(
    "select",
    [
        selection.tournament,
        selection.roulette,
        selection.stochastic_universal,
        selection.linear_ranking,
        partial(selection.lexicase, epsilon=0.5),
        selection.crowded_tournament,
    ],
)
def test_a_selection_that_draws_gets_the_generator(select):
    toolbox, generator = toolbox_for(select=select)
    genotypes = evaluated(toolbox.population(5))
    before = generator.bit_generator.state
    assert len(toolbox.select(genotypes, 4)) == 4
    assert generator.bit_generator.state != before


def test_mate_and_mutate_keep_the_weights(toolbox, two_objectives):
    children = [*toolbox.mate(*two_objectives[:2]), *toolbox.mutate(two_objectives[2])]
    assert {child.fitness.weights for child in children} == {(1.0, -1.0)}


def test_the_settings_reach_the_operators():
    operators = {
        "mate": partial(crossover.n_point, points=1),
        "mutate": partial(mutation.flip, rate=1.0),
        "select": partial(selection.tournament, size=200),
    }
    toolbox, _ = toolbox_for(**operators)
    zeros, ones = evaluated([Genotype("0" * 30), Genotype("1" * 30)])
    assert str(toolbox.mutate(zeros)[0]) == "1" * 30
    assert toolbox.select([zeros, ones], 20) == [ones] * 20
    child, _ = toolbox.mate(zeros, ones)
    assert str(child).startswith("0")
    assert str(child).lstrip("0") == "1" * child.bits.sum()


def test_select_refuses_unevaluated_genotypes(toolbox):
    with pytest.raises(ValueError, match="4 of 4 genotypes have no fitness yet"):
        toolbox.select(toolbox.population(4), 2)


def test_a_hall_of_fame_keeps_copies_of_the_best_different_genotypes(toolbox):
    hall = tools.HallOfFame(3)
    genotypes = evaluated([Genotype(text) for text in ("0111", "1111", "1111", "0000", "0011")])
    hall.update(genotypes)
    assert [str(genotype) for genotype in hall] == ["1111", "0111", "0011"]
    del genotypes[1].fitness.values
    assert hall[0].fitness.values == (4.0,)


def test_a_pareto_front_keeps_the_genotypes_that_none_dominates(two_objectives):
    front = tools.ParetoFront()
    front.update(two_objectives)
    assert {str(genotype) for genotype in front} == {"0000", "1000", "1100"}


def test_statistics_read_the_fitness(toolbox):
    statistics = tools.Statistics(lambda genotype: genotype.fitness.values[0])
    statistics.register("max", max)
    statistics.register("mean", np.mean)
    assert statistics.compile(evaluated([Genotype("0111"), Genotype("0001")])) == {"max": 3.0, "mean": 2.0}


def test_nsga2_selects_the_first_front(two_objectives):
    chosen = tools.selNSGA2(two_objectives, 3)
    assert {str(genotype) for genotype in chosen} == {"0000", "1000", "1100"}
    assert all(hasattr(genotype.fitness, "crowding_dist") for genotype in chosen)


@pytest.mark.parametrize("sort", [tools.sortNondominated, tools.sortLogNondominated])
def test_the_non_dominated_sorts_agree_with_the_definition(two_objectives, sort):
    first, *_ = sort(two_objectives, len(two_objectives))
    undominated = [
        str(one)
        for one in two_objectives
        if not any(other.fitness.dominates(one.fitness) for other in two_objectives)
    ]
    assert sorted(str(genotype) for genotype in first) == sorted(undominated)


def test_clone_is_independent_of_the_original(toolbox):
    (genotype,) = evaluated([Genotype("0111")])
    clone = toolbox.clone(genotype)
    del clone.fitness.values
    assert genotype.fitness.values == (3.0,)
    assert clone == genotype
