"""Sweeps of tiny runs, for the tests of sweeps, pools and comparisons."""

import yaml

from genoevo_mega.run_kind import KIND
from genoevo_runs.sweep import SweepFile, plan
from genoevo_runs.worker import train

OWN_SUITE = """
from genoevo_mega.config.run import build_config, preset

def make(seed, goals):
    return make_suite(build_config(preset("smoke"), {"suite": "point"}))
"""

# Two rounds of two tasks.
TINY = {"preset": "smoke", "settings": {"suite": "point,car", "steps": 200, "evaluation.at_end": False}, "seeds": 3}


def write_sweep(path, **content):
    path.write_text(yaml.safe_dump(content))
    return path


def plan_sweep(tmp_path, **content):
    return plan(KIND, SweepFile.model_validate({**TINY, **content}), tmp_path / "s.yaml", tmp_path)


def train_run(run, **options):
    asked = {
        "format": KIND.format,
        "directory": run.directory,
        "config": run.config.model_dump(mode="json"),
        "command": ["test"],
    }
    return train(asked, options.get("tell", lambda message: None), options.get("stop", lambda: False))
