"""Rules and running times of the fast and the self-adjusting algorithm, as published."""

import numpy as np
import pytest

from genoevo import Population, Stop
from genoevo.algorithms import FastGA, LambdaLambdaGA
from genoevo.evaluation import Vectorised
from genoevo.problems import LeadingOnes, OneMax
from tests.engine.evolutions import ones
from tests.engine.searches import played


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
