import pkgutil
import subprocess
import sys

import pytest

import genoevo_runs

MODULES = sorted(module.name for module in pkgutil.walk_packages(genoevo_runs.__path__, "genoevo_runs."))
# What the extra cli does not install, and the adapters.
BEYOND_CLI = ("torch", "pydantic", "yaml", "scipy", "gymnasium", "metaworld", "safetensors", "tensorboard")


def test_no_module_imports_torch_or_an_adapter():
    code = f"import importlib, sys\nfor name in {MODULES}: importlib.import_module(name)\n"
    code += "assert not {'torch', 'genoevo_mega'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("module", ["errors", "policies", "report.evolution", "report.server", "run_kind"])
def test_what_the_engine_and_its_command_use_needs_nothing_beyond_the_command_line(module):
    code = f"import sys; sys.modules |= dict.fromkeys({BEYOND_CLI}); import genoevo_runs.{module}"
    subprocess.run([sys.executable, "-c", code], check=True)
