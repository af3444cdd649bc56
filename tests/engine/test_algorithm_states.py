"""States of all algorithms: exact resumption at any time, and what is refused."""

import copy
import os
import signal

import numpy as np
import pytest

from genoevo import Population
from genoevo.algorithms import P3, FastGA
from genoevo.checkpoint import Checkpoint, Interrupted
from genoevo.evaluation import Vectorised
from genoevo.problems import Trap
from genoevo.state import load, save
from tests.engine.evolutions import ones
from tests.engine.searches import RECORD, each, made, played


@each
def test_a_search_resumes_bit_for_bit_after_any_number_of_tells(name, frozen, tmp_path):
    trap = Trap(20)
    search, states = made(name, record=RECORD), []
    for _ in range(60):
        states.append(search.state_dict())
        search.ask()
        states.append(search.state_dict())
        played(search, 1, trap)
    end = frozen(search.state_dict())
    for done in (0, 1, 2, 3, 4, 7, 30, 59):
        for state in states[2 * done : 2 * done + 2]:
            save(tmp_path / "state.npz", state)
            resumed = type(search).from_state(load(tmp_path / "state.npz"))
            assert frozen(resumed.state_dict()) == frozen(state)
            assert frozen(played(resumed, 60 - done, trap).state_dict()) == end


@each
def test_a_state_does_not_change_as_the_search_runs(name, frozen):
    search = played(made(name), 5)
    state = search.state_dict()
    before = frozen(state)
    played(search, 10)
    assert frozen(state) == before


@each
def test_a_checkpoint_saves_and_resumes(name, tmp_path, frozen):
    path = tmp_path / "search.npz"
    with Checkpoint(path, every=1) as checkpoint:
        search = made(name, Vectorised(ones), callbacks=[checkpoint])
        search.run(generations=3)
        resumed = type(search).from_state(checkpoint.load(), Vectorised(ones))
    search.callbacks = ()
    search.run(generations=3)
    resumed.run(generations=3)
    assert frozen(resumed.state_dict()) == frozen(search.state_dict())


@each
def test_a_checkpoint_saves_within_a_generation(name, tmp_path, frozen):
    path = tmp_path / "search.npz"
    with Checkpoint(path, seconds=0) as checkpoint:
        search = made(name, callbacks=[checkpoint])
        for _ in range(40):
            played(search, 1)
            assert frozen(load(path)) == frozen(search.state_dict())


def test_a_signal_within_a_generation_saves_what_is_evaluated(tmp_path, frozen):
    path, trap = tmp_path / "search.npz", Trap(20)

    def interrupting(population):
        if search.evaluations >= 5:
            os.kill(os.getpid(), signal.SIGINT)
        return trap(population)

    checkpoint, start = Checkpoint(path), Population.random(1, 20, np.random.default_rng(1))
    search = P3(Vectorised(interrupting), start, seed=1, callbacks=[checkpoint])
    with pytest.raises(Interrupted), checkpoint:
        search.run(generations=1)
    assert (search.generation, search.evaluations) == (0, 6)
    resumed, whole = P3.from_state(load(path), Vectorised(trap)), P3(Vectorised(trap), search.start, seed=1)
    for one in (resumed, whole):
        one.run(generations=9)
    assert frozen(resumed.state_dict()) == frozen(whole.state_dict())


def check_short(error):
    assert 0 < len(str(error)) < 1000


def damaged(state):
    """Copies of *state* in each of which one part is missing, or is another number, text or array."""
    for key in state:
        yield {name: value for name, value in state.items() if name != key}
        for wrong in (-1, "x", None, np.zeros(2), np.full(3, np.nan), [1], {}, True, 10**9):
            yield {**state, key: wrong}
        if isinstance(state[key], dict):
            for inner in damaged(state[key]):
                yield {**state, key: inner}


@each
def test_a_damaged_state_is_refused_or_goes_on(name):
    search = played(made(name, record=RECORD), 25, Trap(20))
    for state in damaged(search.state_dict()):
        try:
            resumed = type(search).from_state(copy.deepcopy(state))
        except ValueError as error:
            check_short(error)
        else:
            played(resumed, 2, Trap(20))


def test_the_state_of_another_algorithm_is_refused(start):
    state = played(FastGA(None, start, seed=1), 2).state_dict()
    with pytest.raises(ValueError, match="this is the state of 'fast-ga', not of 'p3'"):
        P3.from_state(state)


def test_fitness_told_that_does_not_fit_the_generation_is_refused(start):
    state = played(P3(None, start, seed=1), 30).state_dict()
    for told in (state["told"][:-1].repeat(100), np.full(len(state["told"]), np.nan)):
        with pytest.raises(ValueError, match="told"):
            P3.from_state({**state, "told": told})


def test_a_cluster_past_the_common_prefix_is_refused(rng):
    search = P3(Vectorised(ones), Population.random(6, np.array([10, 20] * 3), rng), seed=1)
    search.run(generations=4)
    state = search.state_dict()
    state["own"]["levels"][0]["clusters"] = np.array([[1 << 15]], dtype=np.uint64)
    with pytest.raises(ValueError, match="a cluster has bits that not all genotypes have"):
        P3.from_state(state)
