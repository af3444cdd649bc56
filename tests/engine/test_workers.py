"""Worker processes: functions they cannot import, processes that functions start, and who ends with whom."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import types
from pathlib import Path

import pytest

from genoevo import Population
from genoevo.evaluation import EvaluationError, InProcess, Vectorised, evaluated
from genoevo.evaluation.pools import process_pool
from genoevo.pools import ProcessPool

sys.path.append(str(Path(__file__).parent))  # also of the workers, which inherit it
from fitness_functions import ChildThatSleeps, with_a_child

SEARCH = """
import numpy as np
from genoevo import Evolution, Population
from genoevo.pools import ProcessPool
factor = 2
def fitness(genotype):
    return factor * sum(genotype)
start = Population.random(6, 8, np.random.default_rng(1))
with ProcessPool(fitness, workers=1) as pool:
    evolution = Evolution(pool, start, seed=1)
    evolution.run(2)
print(evolution.best.fitness.values[0] == 2 * sum(evolution.best))
"""
WITHOUT = "import sys\nsys.modules['cloudpickle'] = None\n"
LEFT_OPEN = """
import sys, time
sys.path.append({folder!r})
from fitness_functions import ChildThatSleeps
from genoevo import Population
from genoevo.evaluation import Failure
from genoevo.pools import ProcessPool
if __name__ == "__main__":
    pool = ProcessPool(ChildThatSleeps({path!r}, hangs={hangs}), workers=1)
    pool.attempt(Population.from_genotypes(["1"]))
    print("evaluated", flush=True)
"""


@pytest.fixture
def population():
    return Population.from_genotypes(["0110", "1", "111"])


def run(program, *arguments, **settings):
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, input=program, capture_output=True, text=True, timeout=60, check=False, **settings)


def runs(process):
    """Whether there is a process of this number that has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def read_when_there(path):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if path.exists() and path.read_text().endswith("\n"):
            return [int(number) for number in path.read_text().split()]
        time.sleep(0.02)
    pytest.fail("the function was not called")
    return []


def end_soon(processes):
    end = time.monotonic() + 10
    while time.monotonic() < end and any(map(runs, processes)):
        time.sleep(0.02)
    return not any(map(runs, processes))


@pytest.mark.parametrize("arguments", [["-"], ["-c", SEARCH]], ids=["standard input", "argument"])
def test_a_function_of_a_program_that_is_not_a_file_is_evaluated(arguments):
    pytest.importorskip("cloudpickle")
    done = run(SEARCH, *arguments)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_without_the_package_a_program_that_is_not_a_file_is_told_what_to_do():
    done = run(WITHOUT + SEARCH, "-")
    assert done.stderr.splitlines()[-1] == (
        "TypeError: a fitness function for worker processes must be picklable: a worker cannot import it from a "
        "notebook or standard input; define the function at the top level of a module, or pip install "
        "genoevo[notebook]"
    )


def test_a_lambda_is_evaluated(population):
    pytest.importorskip("cloudpickle")
    factor = 3
    with ProcessPool(lambda genotype: factor * sum(genotype), workers=1) as pool:
        assert evaluated(pool, population).tolist() == [6, 3, 9]


def test_a_batch_function_made_on_the_spot_is_evaluated(population):
    pytest.importorskip("cloudpickle")
    with ProcessPool(Vectorised(lambda population: population.lengths), workers=1) as pool:
        assert evaluated(pool, population).tolist() == [4, 1, 3]


def test_what_no_package_can_send_is_refused():
    pytest.importorskip("cloudpickle")
    generator = (bit for bit in "01")
    with pytest.raises(
        TypeError, match="a fitness function for worker processes must be picklable: cannot pickle 'gen"
    ):
        ProcessPool(lambda genotype: next(generator))


def test_a_function_that_a_worker_cannot_import_is_told_with_the_reason(population, monkeypatch):
    module = types.ModuleType("only_here")
    exec("def fitness(genotype): return 1.0", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with ProcessPool(module.fitness, workers=1) as pool, pytest.raises(RuntimeError) as caught:
        evaluated(pool, population)
    assert "could not load the fitness function: ModuleNotFoundError: No module named 'only_here'" in str(
        caught.value
    )


def test_a_script_without_its_guard_is_told_to_have_one(tmp_path):
    script = tmp_path / "search.py"
    script.write_text(SEARCH)
    done = run(None, str(script))
    assert "A script must create the pool under if __name__ == '__main__':" in done.stderr.splitlines()[-1]


def test_a_function_may_start_processes(population):
    with ProcessPool(with_a_child, workers=1) as pool:
        assert evaluated(pool, population).tolist() == [2, 1, 3]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signals to block")
def test_ctrl_c_does_not_end_a_worker_that_starts(population, monkeypatch):
    ready, interrupted = process_pool._Process.wait_until_ready, []

    def interrupt(worker):
        os.kill(worker._process.pid, signal.SIGINT)
        interrupted.append(worker)
        ready(worker)

    monkeypatch.setattr(process_pool._Process, "wait_until_ready", interrupt)
    with ProcessPool(with_a_child, workers=2, batch=1) as pool:
        assert evaluated(pool, population).tolist() == evaluated(InProcess(with_a_child), population).tolist()
    assert len(interrupted) == 2
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_processes_of_a_worker_that_hangs_end_with_it(population, tmp_path):
    path = tmp_path / "pids"
    with ProcessPool(ChildThatSleeps(str(path), hangs=True), workers=1, timeout=0.5) as pool:
        with pytest.raises(EvaluationError, match=r"did not return within 0\.5 seconds"):
            evaluated(pool, population[[0]])
        assert end_soon(read_when_there(path))


@pytest.mark.parametrize("hangs", [False, True], ids=["idle", "busy"])
def test_workers_and_their_processes_end_with_a_program_that_is_killed(tmp_path, hangs):
    path, script = tmp_path / "pids", tmp_path / "search.py"
    program = LEFT_OPEN.format(folder=str(Path(__file__).parent), path=str(path), hangs=hangs)
    script.write_text(textwrap.dedent(program) + ("" if hangs else "    time.sleep(60)\n"))
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    processes = read_when_there(path)
    if not hangs:
        assert process.stdout.readline() == "evaluated\n"
    assert all(map(runs, processes))
    process.kill()
    assert end_soon(processes)
    process.communicate()


def test_workers_and_their_processes_end_with_a_program_that_leaves_its_pool_open(tmp_path):
    path, script = tmp_path / "pids", tmp_path / "search.py"
    script.write_text(LEFT_OPEN.format(folder=str(Path(__file__).parent), path=str(path), hangs=False))
    done = run(None, str(script))
    assert (done.stdout, done.returncode) == ("evaluated\n", 0), done.stderr
    assert end_soon(read_when_there(path))
