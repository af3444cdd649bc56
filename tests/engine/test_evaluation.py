import numpy as np
import pytest

from genoevo import Genotype, Population
from genoevo.evaluation import InProcess, Vectorised, evaluated


@pytest.fixture
def population():
    return Population.from_genotypes(["0110", "1", "111"])


def test_in_process_calls_the_function_with_each_genotype_in_order(population):
    seen = []
    values = evaluated(InProcess(lambda genotype: seen.append(genotype) or len(genotype)), population)
    assert seen == [Genotype("0110"), Genotype("1"), Genotype("111")]
    assert values.tolist() == [4, 1, 3]


def test_vectorised_calls_the_function_once_with_the_population(population):
    seen = []
    values = evaluated(Vectorised(lambda given: seen.append(given) or given.lengths), population)
    assert seen == [population]
    assert values.tolist() == [4, 1, 3]


def test_several_objectives_give_a_matrix(population):
    values = evaluated(InProcess(lambda genotype: (len(genotype), -1)), population)
    np.testing.assert_array_equal(values, [[4, -1], [1, -1], [3, -1]])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_refused_naming_the_genotype(population, bad):
    with pytest.raises(ValueError, match=rf"the fitness of 1 is {bad}; it must be finite"):
        evaluated(InProcess(lambda genotype: bad if len(genotype) < 4 else 0.0), population)


def test_one_bad_objective_of_several_is_refused_naming_the_genotype(population):
    with pytest.raises(ValueError, match=r"the fitness of 111 is \[ 3. nan\]; it must be finite"):
        evaluated(InProcess(lambda g: (len(g), np.nan if len(g) == 3 else 1)), population)
