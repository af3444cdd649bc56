"""A sweep of two short runs; Ray's workers import this module."""

import time
from pathlib import Path
from unittest import mock

from genoevo.state import lock
from genoevo_mega.experiments import runs
from genoevo_mega.run_kind import KIND
from genoevo_runs import manifest, pools
from genoevo_runs.sweep import SweepFile, plan
from genoevo_runs.worker import train

SETTINGS = {
    "suite": "point,car",
    "steps": 600,
    "checkpoints.every": 200,
    "evaluation.at_end": False,
    "compute.workers": 1,
    "compute.threads": 1,
}


def planned(directory, **settings):
    sweep = {"preset": "smoke", "seeds": 2, "settings": {**SETTINGS, **settings}}
    return plan(KIND, SweepFile.model_validate(sweep), directory / "s.yaml", directory)


def trained_here(run):
    """Train or resume a run in this process and return its result."""
    given = {"format": KIND.format, "directory": str(run.directory), "command": ["test"]}
    assert train({**given, "config": run.config.model_dump(mode="json")}, print, lambda: False)["event"] == "done"
    return result(run)


def result(run):
    """Return the digest and the metrics of a run, which are the same for all resumptions."""
    return runs.info(run.directory)["digest"], (run.directory / "metrics.jsonl").read_bytes()


class Slowly:
    """Trains runs with :func:`slowly`."""

    def train(self, *run):
        return slowly(*run)


class SlowlyOnItsOwnMachine:
    """Trains runs with :func:`slowly_on_its_own_machine`."""

    def train(self, *run):
        return slowly_on_its_own_machine(*run)


def slowly(run, flag, proof, patience):
    """Train a run whose steps, after its first checkpoint, take 50 ms while the file ``slow`` is in the sweep."""
    slow, check = Path(flag).with_name("slow"), lock.Held.check

    def check_slowly(held):
        check(held)
        if slow.exists() and manifest.newest_first(Path(run["directory"])):
            time.sleep(0.05)

    with mock.patch.object(lock.Held, "check", check_slowly):
        return pools._ray_task(run, flag, proof, patience)


def slowly_on_its_own_machine(run, flag, proof, patience):
    """Do so as on a machine of its own, whose file system has no locks that other nodes know of."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    with mock.patch.multiple(lock, machine=lambda: node, fcntl=None, BEAT=0.5, LEASE=3.0):
        return slowly(run, flag, proof, patience)
