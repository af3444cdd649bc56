import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """The data are small: threads of linear algebra would only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def classes():
    """Ten features, of which the first three tell two classes apart."""
    settings = {"n_informative": 3, "n_redundant": 0, "shuffle": False, "class_sep": 2.0, "random_state": 3}
    return make_classification(120, 10, **settings)


@pytest.fixture(scope="session")
def numbers():
    """Eight features and a number that depends on two of them, 1 and 4."""
    x, _ = make_regression(60, 8, random_state=0)
    rng = np.random.default_rng(0)
    return x, 3 * x[:, 1] - 2 * x[:, 4] + 0.1 * rng.normal(size=60)


def without_times(results):
    """``cv_results_`` as what == compares: bytes, without what a clock measured."""
    return {name: np.asarray(value).tolist() for name, value in results.items() if "_time" not in name}
