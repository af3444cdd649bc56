"""scikit-learn's own checks of estimators. None is expected to fail."""

import os
import subprocess
import sys

import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from genoevo_sklearn import Float, GeneticFeatureSelector, GeneticSearchCV

SMALL = {"cv": 2, "population_size": 2, "generations": 1, "random_state": 0}
ESTIMATORS = [
    GeneticFeatureSelector(Ridge(), **SMALL),
    GeneticFeatureSelector(LogisticRegression(), pareto=True, **SMALL),
    GeneticSearchCV(Ridge(), {"alpha": Float(0.1, 10, log=True)}, **SMALL),
    GeneticSearchCV(LogisticRegression(), {"C": Float(0.1, 10, log=True)}, **SMALL),
]
# The one check that parametrize_with_checks skips, because it wants an environment variable from before scipy was
# imported: the next test runs it in a process of its own.
IN_A_PROCESS = "check_array_api_input"

SCRIPT = f"""
import warnings
from sklearn.utils.estimator_checks import estimator_checks_generator
from tests.scikit_learn.test_checks import ESTIMATORS
warnings.simplefilter("ignore")
for estimator in ESTIMATORS:
    for own, check in estimator_checks_generator(estimator):
        if check.func.__name__ == {IN_A_PROCESS!r}:
            check(own)
            print("passed")
"""


# Some checks fit what cannot be fitted, on purpose, and a search says so: FitFailedWarning.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks_pass(estimator, check):
    if getattr(check, "func", check).__name__ == IN_A_PROCESS:
        return
    check(estimator)


def test_the_check_that_needs_an_environment_variable_passes_in_a_process_that_has_it():
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("passed") == len(ESTIMATORS)
