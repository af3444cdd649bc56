"""Rollouts on a cluster whose nodes stay as they are."""

import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest

from genoevo.pools import RayPool as FitnessPool
from genoevo_mega.envs import ray_workers
from genoevo_mega.envs.errors import RolloutError
from genoevo_mega.envs.ray_workers import SETTING
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.worker import RESET, STEP, read_answer
from genoevo_runs.errors import UserError
from genoevo_runs.pools import RayPool as SweepPool
from genoevo_runs.ray_cluster import connected
from tests.cluster.cluster import fill_stores, pause, wait_until
from tests.cluster.suites import WideSuite
from tests.mega.suites import CountingSuite, FaultySuite, StrictSuite

GOALS = np.array([0, 1, 0, 1])
ACTIONS = np.random.default_rng(0).uniform(-1, 1, (6, 4, 2)).astype(np.float32)


@pytest.fixture(autouse=True)
def _nodes(three_nodes):
    pass


def played(pool, before=lambda step: None, actions=ACTIONS):
    """Return all that an episode of every task gives, as bytes; *before* is called before each step."""
    seen = [pool.reset(GOALS).tobytes()]
    for step, taken in enumerate(actions):
        before(step)
        seen += [array.tobytes() for array in vars(pool.step(taken)).values()]
    return seen


@pytest.fixture(scope="module")
def here():
    """Return what :func:`played` gives with worker processes of this machine."""

    def play(suite, **settings):
        with RolloutPool(suite, 4, **settings) as pool:
            return played(pool), pool.take_faults()

    return play


def actors(nodes, node):
    return nodes.actors(node, "_Actor")


def test_workers_are_spread_over_the_nodes(three_nodes):
    with RolloutPool(CountingSuite(("a", "b", "c"), costs=(1.0,) * 3), 3, rollouts="ray"):
        assert [len(actors(three_nodes, node)) for node in three_nodes.nodes] == [0, 1, 1, 1]


def test_actors_end_with_the_pool_and_give_their_cores_back(three_nodes):
    with RolloutPool(FaultySuite("none"), 4, rollouts="ray"):
        assert sum(len(actors(three_nodes, node)) for node in three_nodes.nodes) == 4
    wait_until(lambda: not any(actors(three_nodes, node) for node in three_nodes.nodes))
    three_nodes.have(3)


@pytest.mark.parametrize("suite", [FaultySuite("none"), WideSuite()], ids=["in messages", "in object stores"])
def test_steps_of_groups_are_the_same_bits_as_with_processes_of_this_machine(here, suite):
    """Those of all tasks at a time are in the tests of a slow node and of full object stores."""
    with RolloutPool(suite, 2, rollouts="ray", groups=2) as pool:
        assert (played(pool), pool.take_faults()) == here(suite, groups=2)


@pytest.mark.parametrize("fault", ["exception", "observation", "reward"])
def test_a_fault_of_a_simulator_is_told_as_by_a_process_of_this_machine(here, fault):
    suite = FaultySuite(fault, goal=int(GOALS[1]))
    with RolloutPool(suite, 2, rollouts="ray") as pool:
        there = played(pool), pool.take_faults()
    assert there == here(suite)
    assert [seen.tasks for seen in there[1]] == [("one",)]


def test_an_environment_that_cannot_be_built_is_named_with_its_error(tmp_path):
    with pytest.raises(RolloutError, match="zero cannot be built: ArithmeticError: no second time"):
        RolloutPool(FaultySuite("building", once=str(tmp_path)), 1, rollouts="ray")


def test_a_module_that_a_node_lacks_is_named():
    class Missing(CountingSuite):
        def __reduce__(self):
            return __import__, ("no_such_module",)

    with pytest.raises(RolloutError, match="No module named 'no_such_module'"):
        RolloutPool(Missing(), 1, rollouts="ray")


def test_more_workers_than_cores_are_refused():
    suite = CountingSuite(tuple("abcdefg"), costs=(1.0,) * 7)
    message = (
        r"compute.workers = 7: must be at most 6 with compute.rollouts = 'ray', the number of the cluster's cores"
    )
    with pytest.raises(UserError, match=message):
        RolloutPool(suite, 7, rollouts="ray")


def test_cores_that_others_hold_are_waited_for_and_named(three_nodes):
    suite = CountingSuite(tuple("abcd"), costs=(1.0,) * 4)
    message = r"4 of the Ray cluster's 6 cores were not free within 0\.5 s"
    with RolloutPool(suite, 4, rollouts="ray"), pytest.raises(RolloutError, match=message):
        RolloutPool(suite, 4, rollouts="ray", timeout=0.5)


def test_another_version_of_a_package_is_refused(monkeypatch):
    monkeypatch.setattr(ray_workers, "versions", lambda: {"numpy": "1.0"})
    message = rf"^{SETTING}: \S+ has numpy \S+ instead of 1\.0: install the same version$"
    with pytest.raises(UserError, match=message):
        RolloutPool(CountingSuite(), 1, rollouts="ray")


def test_a_missing_ray_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match=rf"{SETTING} needs ray: pip install 'genoevo\[ray\]'"):
        RolloutPool(CountingSuite(), 1, rollouts="ray")


def test_a_request_that_ray_repeats_makes_no_second_step():
    actor = ray_workers._Actor(CountingSuite(), 2)
    assert [actor.build(task) for task in (0, 1)] == [b"b", b"b"]
    actor.answer(1, RESET, [0, 1], np.zeros(2, np.int64).tobytes() + bytes(2))
    once = actor.answer(2, STEP, [1], np.ones((1, 2), np.float32).tobytes())
    other = actor.answer(3, STEP, [0], np.ones((1, 2), np.float32).tobytes())
    again = actor.answer(2, STEP, [1], np.ones((1, 2), np.float32).tobytes())
    assert again == once
    assert other == actor.answer(3, STEP, [0], b"")
    assert read_answer(once[0])[1] == {}
    assert np.frombuffer(once[1][:16], np.float32).tolist() == [1, 0, 0, 1]


def test_a_request_that_overtook_another_is_refused():
    actor = ray_workers._Actor(CountingSuite(), 2)
    actor.build(0)
    actor.answer(1, RESET, [0], bytes(9))
    with pytest.raises(RuntimeError, match="request 3 came after request 1"):
        actor.answer(3, STEP, [0], np.ones((1, 2), np.float32).tobytes())


@pytest.mark.parametrize("suite", [StrictSuite(), WideSuite()], ids=["in messages", "in object stores"])
def test_steps_under_way_are_the_same_bits_as_with_processes_of_this_machine(suite):
    seen = []
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 4, suite.action_size)).astype(np.float32)
    for rollouts in ("local", "ray"):
        with RolloutPool(suite, 2, rollouts=rollouts, ahead=2) as pool:
            pool.reset(GOALS)
            for taken in actions:
                pool.begin_step(taken)
            steps = [pool.finish_step()]
            begun = pool.reset(GOALS, np.arange(4) == 0)[0]
            steps += [pool.finish_step(), pool.finish_step(), pool.step(actions[0], np.arange(4) == 0)]
        seen.append([begun.tobytes(), *(array[:1].tobytes() for step in steps for array in vars(step).values())])
    assert seen[0] == seen[1]


# ------------------------------------------------------------------------------------------------------ faults


def test_a_worker_that_is_killed_is_replaced_and_loses_its_tasks_alone(three_nodes):
    with RolloutPool(FaultySuite("none"), 4, rollouts="ray", groups=2) as pool:
        pool.reset(GOALS)
        pool.step(ACTIONS[0])
        os.kill(actors(three_nodes, three_nodes.nodes[1])[0], signal.SIGKILL)
        step = pool.step(ACTIONS[1])
        (fault,) = pool.take_faults()
        assert fault.reason == "died (its worker process has died)"
        assert [pool.suite.names[task] for task in np.flatnonzero(step.lost)] == [*fault.tasks]
        assert len(fault.tasks) == 1
        begun = pool.reset(GOALS, pool.lost)
        assert begun[:, 3].tolist() == [0 if lost else 2 for lost in step.lost]
        assert not pool.step(ACTIONS[2]).lost.any()
        assert pool.take_faults() == []


def test_a_worker_that_is_killed_with_steps_under_way_loses_all_of_them(three_nodes):
    with RolloutPool(FaultySuite("none"), 4, rollouts="ray", ahead=2) as pool:
        pool.reset(GOALS)
        os.kill(actors(three_nodes, three_nodes.nodes[1])[0], signal.SIGKILL)
        for _ in range(3):
            pool.begin_step(ACTIONS[0])
        lost = pool.finish_step().lost
        assert lost.sum() == 1
        assert pool.reset(GOALS, lost)[lost, 3] == 0
        assert [pool.finish_step().observations[~lost, 3].tolist() for _ in range(2)] == [[2] * 3, [3] * 3]
        assert len(pool.take_faults()) == 1
        assert not pool.step(ACTIONS[1]).lost.any()


def test_a_worker_that_hangs_is_replaced(tmp_path):
    suite = FaultySuite("hanging", once=str(tmp_path / "happened"))
    with RolloutPool(suite, 2, rollouts="ray", timeout=6) as pool:
        pool.reset(np.zeros(4, np.int64))
        steps = [pool.step(ACTIONS[0]) for _ in range(3)]
        (fault,) = pool.take_faults()
        assert fault.reason == "did not answer within 6 s"
        assert "one" in fault.tasks
        assert [step.lost.sum() for step in steps] == [0, 2, 2]


def test_a_node_that_is_slow_for_a_while_loses_nothing(three_nodes, here):
    def suspend(step):
        if step == 2:
            node = three_nodes.nodes[2]
            slow = actors(three_nodes, node)
            assert slow
            pause([three_nodes.raylet(node), *slow], 3)

    with RolloutPool(FaultySuite("none"), 4, rollouts="ray") as pool:
        began = time.monotonic()
        there = played(pool, suspend), pool.take_faults()
    assert time.monotonic() > began + 3
    assert there == here(FaultySuite("none"))


def test_full_object_stores_change_nothing(here):
    held = fill_stores()
    with RolloutPool(WideSuite(), 4, rollouts="ray") as pool:
        assert (played(pool), pool.take_faults()) == here(WideSuite())
    assert connected("this test").get(held[0]).sum() == 30 * 2**20


def test_a_request_that_ray_refuses_ends_its_worker(three_nodes, monkeypatch):
    import ray

    with RolloutPool(FaultySuite("none"), 2, rollouts="ray") as pool:
        pool.reset(GOALS)
        refused = pool._workers[1]
        actor = refused._handle

        def refuse(*request):
            raise ray.exceptions.ObjectStoreFullError("no room is left")

        monkeypatch.setattr(refused, "_handle", SimpleNamespace(answer=SimpleNamespace(remote=refuse)))
        monkeypatch.setattr(refused, "ask_to_end", lambda: ray.kill(actor))
        step = pool.step(ACTIONS[0])
        (fault,) = pool.take_faults()
        assert "could not be asked (no room is left" in fault.reason
        assert step.lost.sum() == 2


@pytest.mark.parametrize(
    "connect",
    [
        lambda directory: connected("this test"),
        lambda directory: FitnessPool(len).close(),
        lambda directory: [*SweepPool(directory, 1, ["test"]).run([])],
    ],
    ids=["rollouts", "fitness", "sweep"],
)
def test_ray_does_not_take_the_signal_that_asks_to_save(connect, tmp_path):
    import ray

    address = os.environ["RAY_ADDRESS"]
    asked = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    try:
        ray.shutdown()
        connect(tmp_path)
        assert os.environ["RAY_ADDRESS"] == address
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
        connected("the other tests")
