import numpy as np
import pytest

from genoevo import Population, StagedLayout
from genoevo.operators import crossover, growth, mutation, selection

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
        lambda population, rng: mutation.flip(population, rng),
        lambda population, rng: growth.grow(population, LAYOUT, rng),
        lambda population, rng: selection.tournament(population, 2, rng),
    ],
    ids=["random", "n_point", "uniform", "segments", "flip", "grow", "tournament"],
)
def test_what_is_no_generator_is_refused(population, use, rng):
    with pytest.raises(TypeError, match=f"rng must be a numpy.random.Generator, got {type(rng).__name__}"):
        use(population, rng)
