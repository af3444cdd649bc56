import ctypes
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from genoevo_mega.agents.executor import Executor
from genoevo_mega.agents.losses import Shard
from genoevo_mega.agents.threads import ShardPool, useful_threads
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.metaworld import MetaWorldSuite
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.networks import Routing
from genoevo_mega.training.build import make_agent
from tests.mega.updates import SUITE, drawn_batch


def test_every_shard_has_a_thread_of_its_own_and_results_keep_their_order():
    meeting = threading.Barrier(3, timeout=10)

    def meet(shard):
        meeting.wait()
        return shard, threading.get_ident()

    results = ShardPool(3).map(meet, "abc")
    assert [shard for shard, _ in results] == ["a", "b", "c"]
    assert len({thread for _, thread in results}) == 3
    assert results[0][1] == threading.get_ident()


def test_a_function_begins_in_another_thread_when_the_first_says_so():
    def one(begin):
        seen.append("one")
        begin()
        assert begun.wait(timeout=10)
        return 1

    def other():
        seen.append("other")
        begun.set()
        return threading.get_ident()

    seen, begun = [], threading.Event()
    result, thread = ShardPool(2).meanwhile(one, other)
    assert (result, seen) == (1, ["one", "other"])
    assert thread != threading.get_ident()


@pytest.mark.parametrize(("size", "begins"), [(1, True), (2, False)])
def test_a_function_that_was_not_begun_follows_in_the_same_thread(size, begins):
    def one(begin):
        if begins:
            begin()
        return list(seen)

    seen = []
    before, thread = ShardPool(size).meanwhile(one, lambda: seen.append("other") or threading.get_ident())
    assert (before, seen, thread) == ([], ["other"], threading.get_ident())


def test_a_function_that_several_shards_begin_runs_once():
    def one(begin):
        begin()
        begin()
        time.sleep(0.01)

    calls = []
    ShardPool(2).meanwhile(one, lambda: calls.append(1))
    assert calls == [1]


def test_blas_takes_one_core_in_every_thread_if_torch_does():
    [place] = (Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*")
    threads_of_blas = getattr(ctypes.CDLL(str(place)), "MKL_Get_Max_Threads", None)
    if threads_of_blas is None:
        pytest.skip("torch has another library for matrix products")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert ShardPool(3).map(lambda shard: threads_of_blas(), "abc") == [1, 1, 1]
    finally:
        torch.set_num_threads(before)


def test_an_error_in_another_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        ShardPool(2).map(lambda shard: 1 / shard, [1, 0])


def test_no_shard_outlives_an_error():
    def fail_first(shard):
        if shard == 0:
            raise ZeroDivisionError
        time.sleep(0.05)
        ended.append(shard)

    ended = []
    with pytest.raises(ZeroDivisionError):
        ShardPool(3).map(fail_first, [0, 1, 2])
    assert sorted(ended) == [1, 2]


def test_what_was_begun_does_not_outlive_an_error():
    def one(begin):
        begin()
        raise ZeroDivisionError

    def other():
        time.sleep(0.05)
        ended.append(1)

    ended = []
    with pytest.raises(ZeroDivisionError):
        ShardPool(2).meanwhile(one, other)
    assert ended == [1]


@pytest.mark.parametrize(("rows", "threads", "shards"), [(24, 16, 12), (8, 3, 3), (1, 2, 1), (5, 4, 3)])
def test_a_batch_is_split_into_as_many_shards_as_there_are_rows_for(rows, threads, shards):
    batch = Shard(*(torch.zeros(2, rows, 3) for _ in Shard._fields))
    routing = Routing(torch.zeros(2, 1, 1, 1), torch.zeros(2, 1, 1), (0, 0))
    found = Executor(threads, None).split(batch, routing, routing)
    assert len(found) == shards
    assert sum(shard.rewards.shape[1] for shard, *_ in found) == rows


@pytest.mark.parametrize(
    ("threads", "rows", "smallest", "shards"),
    [(1, 128, 32, 1), (2, 128, 32, 2), (16, 128, 32, 4), (2, 48, 32, 1), (4, 8, 32, 1), (2, 24, 12, 2)],
)
def test_no_shard_is_smaller_than_asked(threads, rows, smallest, shards):
    assert useful_threads(threads, rows, smallest) == shards


@pytest.mark.parametrize(("threads", "useful"), [(1, 1), (2, 2), (3, 2), (4, 4), (16, 8)])
def test_each_half_of_the_threads_has_all_rows_if_losses_are_simultaneous(threads, useful):
    assert useful_threads(threads, 128, 32, at_once=2) == useful


@pytest.mark.parametrize("update_with", ["sample", "stored"])
def test_an_update_in_shards_is_the_same_update(update_with):
    config = build_config(preset("smoke"), {"genotypes": {"update_with": update_with}})
    whole, parted = make_agent(config, SUITE), make_agent(config, SUITE)
    parted.executor.pool = ShardPool(3)
    evolver = Evolver.fresh(config.evolution, list(SUITE.names), 1)
    batch = drawn_batch()
    routing = evolver.update_routing(batch.genotypes, np.random.default_rng(0))
    losses = [agent.update(batch, routing, routing) for agent in (whole, parted)]
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value, rtol=1e-5, atol=1e-6)
    for name in ("actor", "critics"):
        gradients = [[p.grad for p in getattr(agent, name).parameters()] for agent in (whole, parted)]
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6)


def test_an_actor_that_learns_simultaneously_follows_the_critics_before_the_update():
    settings = {"compute": {"kernels": "torch"}}
    simultaneous = build_config(preset("smoke"), settings, {"sac": {"simultaneous": True}})
    fast_critics = build_config(preset("smoke"), settings, {"sac": {"learning_rate": 0.1}})
    routing = Evolver.fresh(simultaneous.evolution, list(SUITE.names), 1).acting_routing()
    at_once, in_turn = make_agent(simultaneous, SUITE), make_agent(fast_critics, SUITE)
    in_turn.optimizers.critics.param_groups[0]["lr"] = 0.0  # so that its actor, too, follows the first critics
    found = [agent.update(drawn_batch(), routing, routing) for agent in (at_once, in_turn)]
    assert found[0] == found[1]
    for one, other in zip(at_once.actor.parameters(), in_turn.actor.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    assert any(
        not torch.equal(one, other)
        for one, other in zip(at_once.critics.parameters(), in_turn.critics.parameters(), strict=True)
    )


def test_the_config_decides_the_shards():
    suite = MetaWorldSuite(("reach-v3", "drawer-close-v3"), seed=1)
    settings = {"compute": {"threads": 2}, "sac": {"batch_size": 64}}
    assert make_agent(build_config(preset("smoke"), settings), suite).threads == 2
    few = settings | {"sac": {"batch_size": 24}}
    assert make_agent(build_config(preset("smoke"), few), suite).threads == 1
    both = few | {"sac": {"batch_size": 24, "simultaneous": True}}
    assert make_agent(build_config(preset("smoke"), both), suite).threads == 1
    both |= {"critic": {"kind": "residual"}, "compute": {"threads": 2, "kernels": "compiled"}}
    assert make_agent(build_config(preset("smoke"), both), suite).threads == 2
    fixed = both | {"architecture": "mtmhsac"}
    assert make_agent(build_config(preset("smoke"), fixed), suite).threads == 2
    stored = both | {"genotypes": {"update_with": "stored"}}
    assert make_agent(build_config(preset("smoke"), stored), suite).threads == 1
    few["compute"] = {"threads": 2, "smallest_shard": 12}
    assert make_agent(build_config(preset("smoke"), few), suite).threads == 2
