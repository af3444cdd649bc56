import enum
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from genoevo import Community, Evolution, StagedLayout, Stop
from genoevo.checkpoint import Checkpoint, Interrupted, InUseError
from genoevo.evaluation import Vectorised
from genoevo.problems import OneMax
from genoevo.state import load, save

PROBLEM = OneMax(40)
HOLDER = """
import sys, time
from genoevo.checkpoint import Checkpoint
with Checkpoint(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "search.npz"


@pytest.fixture
def new(rng):
    start = PROBLEM.random(12, rng)
    return lambda *callbacks: Evolution(Vectorised(PROBLEM), start, seed=1, callbacks=callbacks)


@pytest.fixture
def holder(path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def generations_saved(path, new, **settings):
    seen = []
    with Checkpoint(path, **settings) as checkpoint:
        look = lambda _: seen.append(load(path)["generation"] if path.exists() else 0)  # noqa: E731
        new(checkpoint, look).run(7)
    return seen


def test_a_search_is_saved_every_so_many_generations_and_at_the_end(path, new):
    assert generations_saved(path, new, every=3) == [0, 0, 3, 3, 3, 6, 6]
    assert load(path)["generation"] == 7


def test_a_search_is_saved_where_so_many_seconds_have_gone(path, new):
    assert generations_saved(path, new, seconds=0) == [1, 2, 3, 4, 5, 6, 7]


def test_a_save_is_late_after_so_many_seconds(path, new):
    for seconds, late in ((0, True), (1000, False)):
        with Checkpoint(path, seconds=seconds) as checkpoint:
            checkpoint.save(new())
            assert checkpoint.is_late == late


def test_nothing_is_left_beside_the_file(path, new):
    with Checkpoint(path) as checkpoint:
        new(checkpoint).run(2)
    assert list(path.parent.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_and_nothing_else(path, new):
    for name in ("search.npz.123.tmp", "search.npz.bak", "other.npz.5.tmp"):
        (path.parent / name).write_text("half")
    with Checkpoint(path) as checkpoint:
        new(checkpoint).run(1)
    assert sorted(entry.name for entry in path.parent.iterdir()) == [
        "other.npz.5.tmp",
        "search.npz",
        "search.npz.bak",
    ]


def test_a_saved_search_goes_on_bit_for_bit(path, new, frozen):
    with Checkpoint(path, every=4) as checkpoint:
        new(checkpoint).run(9)
    with Checkpoint(path) as checkpoint:
        resumed = Evolution.from_state(checkpoint.load(), Vectorised(PROBLEM), callbacks=[checkpoint])
        resumed.run(stop=Stop(generations=20))
    whole = new()
    whole.run(20)
    assert frozen(load(path)) == frozen(whole.state_dict())


def test_a_community_is_saved_too(path, frozen):
    community = Community(StagedLayout(2), ["a", "b"], seed=1)
    with Checkpoint(path, every=1) as checkpoint:
        community.step(np.zeros((2, 3)))
        checkpoint(community)
    assert frozen(Community.from_state(load(path)).state_dict()) == frozen(community.state_dict())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_search_after_its_generation_saved(path, new, frozen, number):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    interrupt = lambda evolution: evolution.generation == 5 and os.kill(os.getpid(), number)  # noqa: E731
    with pytest.raises(Interrupted), Checkpoint(path) as checkpoint:
        new(interrupt, checkpoint).run(20)
    expected = new()
    expected.run(5)
    assert frozen(load(path)) == frozen(expected.state_dict())
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_a_second_signal_ends_the_search_at_once(path, new):
    def interrupt(evolution):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as stop, Checkpoint(path) as checkpoint:
        new(interrupt, checkpoint).run(20)
    assert not isinstance(stop.value, Interrupted)
    assert not path.exists()


def test_a_search_that_fails_leaves_the_last_save(path, new):
    def fail(evolution):
        if evolution.generation == 5:
            raise ArithmeticError

    with pytest.raises(ArithmeticError), Checkpoint(path, every=2) as checkpoint:
        new(checkpoint, fail).run(20)
    assert load(path)["generation"] == 4


def test_outside_the_main_thread_signals_are_left_alone(path, new):
    def work():
        with Checkpoint(path) as checkpoint:
            new(checkpoint).run(3)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert load(path)["generation"] == 3


def test_a_file_that_another_process_works_on_is_refused_by_its_holder(path, holder):
    with pytest.raises(InUseError, match=rf"search.npz is in use by process {holder.pid} on [\w.-]+ since 20\d\d"):
        Checkpoint(path).__enter__()
    assert holder.poll() is None


def test_the_lock_of_a_process_that_was_killed_locks_nothing(path, holder):
    holder.kill()
    holder.wait()
    assert path.with_name("search.npz.lock").exists()
    with Checkpoint(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_what_the_search_is_about_is_kept_and_checked(path, new):
    with Checkpoint(path, about={"problem": "onemax", "size": 40}) as checkpoint:
        new(checkpoint).run(1)
    assert Checkpoint(path, about={"size": 40}).load()["about"] == {"problem": "onemax", "size": 40}
    with pytest.raises(ValueError, match=r"search\.npz belongs to a search with size 40, got 50"):
        Checkpoint(path, about={"problem": "onemax", "size": 50}).load()


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Name(str, enum.Enum):  # noqa: UP042 - its str() is not its value
    LEFT = "left"


CHANGED_BY_JSON = {
    "tuple": ((1, (2, 3)), [1, [2, 3]]),
    "numpy": (np.int64(3), 3),
    "text of numpy": (np.str_("a"), "a"),
    "path": (Path("data") / "x", "data/x"),
    "enum": (Colour.RED, "red"),
    "whole enum": (Level.HIGH, 3),
    "array": (np.arange(3), [0, 1, 2]),
    "enum as a key": ({Name.LEFT: 1}, {"left": 1}),
    "inside": ({"a": [(np.float64(0.5), Colour.RED)]}, {"a": [[0.5, "red"]]}),
}


@pytest.mark.parametrize(("value", "plain"), CHANGED_BY_JSON.values(), ids=CHANGED_BY_JSON)
def test_what_json_changes_is_the_same_after_a_restart(path, new, value, plain):
    with Checkpoint(path, about={"what": value}) as checkpoint:
        new(checkpoint).run(1)
    assert repr(Checkpoint(path, about={"what": value}).load()["about"]) == repr({"what": plain})


def _inside_itself():
    values = []
    values.append(values)
    return values


@pytest.mark.parametrize(
    ("about", "error", "message"),
    [
        ({"a": {1, 2}}, TypeError, r"about.a is \{1, 2\}: a set is not JSON serializable"),
        ({"a": [1, object]}, TypeError, "about.a.1 is <class 'object'>: a type is not JSON serializable"),
        ({"a": {1: 2}}, TypeError, "the keys of about.a must be text, got 1"),
        ({"a": float("nan")}, ValueError, "about.a must not be NaN, which is not equal to itself"),
        ({"a": np.datetime64("2020")}, TypeError, "a date is not JSON serializable"),
        ({"a": _inside_itself()}, ValueError, "about holds itself, or lists and dicts too deep in one another"),
        ("onemax", TypeError, "about must be a dict, got 'onemax'"),
    ],
)
def test_what_cannot_be_found_again_is_refused_before_the_search(path, about, error, message):
    with pytest.raises(error, match=message):
        Checkpoint(path, about=about)


def test_a_file_that_does_not_say_what_it_is_about_is_refused(path, new):
    save(path, new().state_dict())
    with pytest.raises(ValueError, match="does not identify its search: it has no 'about'"):
        Checkpoint(path, about={"size": 40}).load()
    assert Checkpoint(path).load()["generation"] == 0


def test_where_there_is_no_file_there_is_no_state(path):
    assert Checkpoint(path).load() is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "every must be a whole number of at least 1, got 0"),
        ({"every": 1.5}, "every must be a whole number of at least 1, got 1.5"),
        ({"seconds": -1}, "seconds must be at least 0, got -1"),
        ({"seconds": float("nan")}, "seconds must be at least 0, got nan"),
    ],
)
def test_bad_settings_are_refused(path, settings, message):
    with pytest.raises(ValueError, match=message):
        Checkpoint(path, **settings)


def test_a_directory_that_is_not_there_is_refused_before_the_search(tmp_path):
    with pytest.raises(FileNotFoundError), Checkpoint(tmp_path / "missing" / "search.npz"):
        pytest.fail("entered")
