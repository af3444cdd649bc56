import pytest

import genoevo

EVERY_MODULE = """
import importlib, pkgutil, sys
import genoevo
for module in pkgutil.walk_packages(genoevo.__path__, "genoevo."):
    importlib.import_module(module.name)
print(*sys.modules)
"""
GLOBAL_RANDOM_STATE = """
import random
import numpy
random.seed(1)
numpy.random.seed(1)
before = random.getstate(), str(numpy.random.get_state())
import genoevo
import genoevo.interop.deap
assert (random.getstate(), str(numpy.random.get_state())) == before
"""


@pytest.fixture(scope="module")
def loaded(run_python):
    return {name.partition(".")[0] for name in run_python(EVERY_MODULE).split()}


@pytest.mark.parametrize(
    "name",
    [
        "torch",
        "gymnasium",
        "metaworld",
        "click",
        "rich",
        "pydantic",
        "yaml",
        "scipy",
        "networkx",
        "pandas",
        "ray",
        "genoevo_mega",
        "genoevo_cli",
    ],
)
def test_no_module_of_the_engine_loads(loaded, name):
    assert "genoevo" in loaded
    assert name not in loaded


def test_importing_the_engine_leaves_the_global_random_states_alone(run_python):
    run_python(GLOBAL_RANDOM_STATE)


@pytest.mark.parametrize("name", genoevo.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(genoevo, name).__doc__


def test_the_version_is_a_string_of_numbers():
    assert genoevo.__version__[0].isdigit()
