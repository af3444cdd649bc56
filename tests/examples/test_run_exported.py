import ast
import os
import re
import subprocess
import sys
from pathlib import Path

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.policies.export import export_tasks
from genoevo_mega.policies.policy import Trained
from genoevo_mega.training.build import make_agent

SCRIPT = Path(__file__).parents[2] / "examples" / "run_exported.py"


def test_the_script_runs_an_exported_policy_and_imports_nothing_of_this_project(tmp_path):
    config = build_config(preset("smoke"))
    suite = make_suite(config)
    routing = Evolver.fresh(config.evolution, list(suite.names), 1).elite_routing()
    export_tasks(Trained(config, suite, make_agent(config, suite), routing), tmp_path / "out", "reach-v3")
    blocked = "import runpy, sys; sys.modules.update(genoevo=None, genoevo_mega=None);"
    code = f"{blocked} sys.argv[1:] = [{str(tmp_path / 'out' / 'reach-v3.onnx')!r}]; runpy.run_path({str(SCRIPT)!r})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert result.returncode == 0, result.stderr
    assert re.findall(r"reach-v3, episode (\d): (?:no )?success", result.stdout) == ["1", "2", "3"]


def test_the_script_is_short():
    code = ast.parse(SCRIPT.read_text()).body[1:]
    assert code[-1].end_lineno - code[0].lineno < 20
