import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "spread_fitness.py"


def _output(*arguments):
    command = [sys.executable, str(SCRIPT), "--generations", "3", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def alone():
    return _output("--by", "this")


def test_more_generations_throw_nearer(alone):
    assert "m from the target" in alone
    nearer = _output("--by", "this", "--generations", "30")
    assert float(nearer.split()[4]) < float(alone.split()[4])


def test_worker_processes_find_what_one_process_finds(alone):
    assert _output("--by", "processes", "--workers", "2") == alone


@pytest.mark.ray
@pytest.mark.usefixtures("three_nodes")
def test_a_ray_cluster_finds_what_one_process_finds(alone):
    assert _output("--by", "ray", "--workers", "2") == alone
