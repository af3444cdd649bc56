import numpy as np
import pytest

from genoevo import Population, StagedLayout
from genoevo.operators import LengthPolicy, crossover, growth, mutation, selection

LAYOUT = StagedLayout(2)


@pytest.fixture
def population():
    population = Population.random(2, 10, np.random.default_rng(1))
    population.fitness = [1, 2]
    return population


@pytest.mark.parametrize("rng", [1, None, np.random, np.random.RandomState(1)], ids=lambda rng: type(rng).__name__)
@pytest.mark.parametrize(
    "use",
    [
        lambda population, rng: Population.random(2, 10, rng),
        lambda population, rng: crossover.n_point(population, population, rng),
        lambda population, rng: crossover.uniform(population, population, rng),
        lambda population, rng: crossover.segments(population, population, rng, layout=LAYOUT),
        lambda population, rng: crossover.one_point(population, population, rng),
        lambda population, rng: crossover.two_point(population, population, rng),
        lambda population, rng: crossover.cut_and_splice(population, population, rng),
        lambda population, rng: mutation.flip(population, rng),
        lambda population, rng: mutation.creep(population, rng, layout=LAYOUT),
        lambda population, rng: mutation.insert(population, rng, layout=LAYOUT),
        lambda population, rng: mutation.delete(population, rng, layout=LAYOUT),
        lambda population, rng: mutation.duplicate(population, rng, layout=LAYOUT),
        lambda population, rng: LengthPolicy().enforce(population, population, rng),
        lambda population, rng: growth.grow(population, LAYOUT, rng),
        lambda population, rng: selection.tournament(population, 2, rng),
        lambda population, rng: selection.roulette(population, 2, rng),
        lambda population, rng: selection.stochastic_universal(population, 2, rng),
        lambda population, rng: selection.linear_ranking(population, 2, rng),
        lambda population, rng: selection.lexicase(population, 2, rng),
    ],
)
def test_what_is_no_generator_is_refused(population, use, rng):
    with pytest.raises(TypeError, match=f"rng must be a numpy.random.Generator, got {type(rng).__name__}"):
        use(population, rng)
