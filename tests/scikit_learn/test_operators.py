"""Own operators take the places of the engine's in both estimators."""

from functools import partial

import numpy as np
import pytest
from deap import tools
from sklearn.base import clone
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from genoevo import Population, Selection
from genoevo.operators import Operators, Origin, PerGenotype, Reproduction
from genoevo_sklearn import GeneticFeatureSelector, GeneticSearchCV, Integer, ListOf
from genoevo_sklearn.space import Space
from tests.scikit_learn.workers import Layered

SMALL = {"cv": 3, "population_size": 6, "generations": 3, "random_state": 4}
SEARCHES = {
    "selector": GeneticFeatureSelector(GaussianNB(), **SMALL),
    "front": GeneticFeatureSelector(GaussianNB(), pareto=True, **SMALL),
    "parameters": GeneticSearchCV(KNeighborsClassifier(), {"n_neighbors": Integer(1, 60)}, **SMALL),
    "layers": GeneticSearchCV(Layered(), {"layers": ListOf({"units": Integer(1, 9), "rate": [0, 1]}, 1, 4)}, **SMALL),
}
DEAPS = Operators(
    crossover=PerGenotype(tools.cxTwoPoint),
    mutation=PerGenotype(partial(tools.mutFlipBit, indpb=0.2)),
    selection=PerGenotype(partial(tools.selTournament, tournsize=2)),
    survival=PerGenotype(tools.selBest),
)


@pytest.fixture(params=SEARCHES)
def search(request):
    return clone(SEARCHES[request.param])


def outcome(found):
    return found.best_index_, found.n_candidates_, repr(list(found.logbook_))


@pytest.mark.parametrize("slot", DEAPS.given)
def test_an_own_operator_needs_no_other_setting(search, slot, classes):
    found = search.set_params(operators=Operators(**{slot: DEAPS.given[slot]})).fit(*classes)
    assert found.n_generations_ == 3


def only_the_first(population, rng):
    return Population.from_genotypes([[1] + [0] * (len(one) - 1) for one in population], population.weights)


def nothing_changes(population, rng):
    return population


def test_children_are_what_the_own_operators_make(classes):
    own = Operators(mutation=only_the_first)
    found = clone(SEARCHES["selector"]).set_params(operators=own, generations=2).fit(*classes)
    first = clone(SEARCHES["selector"]).set_params(generations=1).fit(*classes)
    made = found.cv_results_["support"][first.n_candidates_ :]
    assert [mask.tolist() for mask in made] == [[True] + [False] * 9]


def test_a_search_with_own_operators_resumes_exactly(search, classes, tmp_path):
    search.set_params(operators=DEAPS)
    whole = clone(search).fit(*classes)
    search.set_params(checkpoint=tmp_path / "search.npz", generations=1).fit(*classes)
    assert outcome(search.set_params(generations=3).fit(*classes)) == outcome(whole)


def of_factor(factor):
    """A mutation of populations or individuals, of which one differs from another by its closure alone."""

    def mutation(given, rng=None):
        return given if factor else None

    return mutation


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (None, only_the_first),
        (only_the_first, None),
        (only_the_first, nothing_changes),
        (of_factor(1), of_factor(2)),
        (PerGenotype(of_factor(1)), PerGenotype(of_factor(2))),
    ],
    ids=["none before", "none now", "another", "another closure", "another closure for genotypes"],
)
def test_a_checkpoint_refuses_other_operators(was, now, classes, tmp_path):
    first, second = (None if given is None else Operators(mutation=given) for given in (was, now))
    search = clone(SEARCHES["selector"]).set_params(checkpoint=tmp_path / "search.npz", generations=1)
    search.set_params(operators=first).fit(*classes)
    with pytest.raises(ValueError, match="operators"):
        search.set_params(operators=second).fit(*classes)


def test_operators_must_be_operators(search, classes):
    with pytest.raises(TypeError, match="operators must be"):
        search.set_params(operators=only_the_first).fit(*classes)


def test_a_setting_that_an_own_operator_replaces_is_refused(classes):
    own = Operators(selection=DEAPS.selection)
    search = clone(SEARCHES["selector"]).set_params(operators=own, selection=Selection(tournament_size=4))
    with pytest.raises(ValueError, match="tournament_size of selection has no effect"):
        search.fit(*classes)


def test_head_and_list_of_a_child_have_one_draw():
    space = Space({"depth": Integer(1, 50), "layers": ListOf(Integer(1, 9), 1, 4)})
    rule = space.reproduction(Reproduction(crossover_threshold=0.5, mutation_threshold=0.6))
    rng, calls = np.random.default_rng(0), []

    def first_of(first, second, rng):
        calls.append(len(first))
        return first

    own = Operators(crossover=first_of, mutation=nothing_changes)
    parents, others = (space.start(2000, rng) for _ in range(2))
    children, origins = rule.children(parents, others, rng, space.layout, operators=own)
    kept = origins != Origin.FRESH
    assert calls == [(origins == Origin.CROSSOVER).sum()]
    assert [round((origins == origin).mean(), 1) for origin in Origin] == [0.5, 0.1, 0.4]
    assert np.array_equal(children.lengths, parents.lengths)
    assert np.array_equal(children.words[kept], parents.words[kept])
    assert (children.words[~kept] != parents.words[~kept]).any(axis=1).mean() > 0.99
