"""Pools whose machines are lost, with workers that only say so."""

import pytest

from genoevo import Population
from genoevo.evaluation import EvaluationError, evaluated
from genoevo.evaluation.pools.pool import NodeLost, Pool, Worker, compute


class OnLostMachine(Worker):
    """A worker whose machine is lost while it evaluates the genotype 111, for the first *times*."""

    def __init__(self, pool):
        self.pool = pool

    def wait_until_ready(self):
        if self.pool.lost_at_start:
            self.pool.lost_at_start -= 1
            raise NodeLost("lost its machine")

    def is_alive(self):
        return True

    def send(self, cargo):
        self.cargo = cargo

    def receive(self):
        words, lengths, weights = self.cargo
        genotypes = Population.unchecked(words, lengths, weights=weights)
        if self.pool.times and "111" in map(str, genotypes):
            self.pool.times -= 1
            raise NodeLost("lost its machine")
        return compute(self.pool.evaluator, self.cargo)

    def kill(self):
        self.pool.killed += 1


class LosingPool(Pool):
    def __init__(self, times=0, lost_at_start=0):
        self.times, self.lost_at_start, self.killed = times, lost_at_start, 0
        super().__init__(len, workers=1, batch=2)

    def _prepare(self):
        pass

    def _cores(self):
        return 1

    def _start(self):
        return OnLostMachine(self)

    def _wait(self, workers, seconds):
        return [*workers]


@pytest.fixture
def population():
    return Population.from_genotypes(["0", "111", "01", "00000"])


@pytest.mark.parametrize("times", [1, 2])
def test_a_batch_whose_machine_is_lost_twice_moves_as_a_whole(population, times):
    pool = LosingPool(times)
    assert evaluated(pool, population).ravel().tolist() == [1, 3, 2, 5]
    assert pool.killed == times


def test_a_genotype_that_has_lost_three_machines_counts_as_their_reason(population):
    # The third loss splits its batch. Alone, it loses a fourth.
    pool = LosingPool(4)
    with pytest.raises(EvaluationError, match="lost its machine for 111"):
        evaluated(pool, population)
    assert pool.killed == 4


def test_the_other_genotypes_of_its_batch_do_not_fail(population):
    attempt = LosingPool(4).attempt(population)
    assert [*attempt.faults] == [1]
    assert attempt.values.ravel().tolist()[::2] == [1, 2]


def test_losses_of_an_earlier_generation_do_not_count(population):
    pool = LosingPool(2)
    evaluated(pool, population)
    pool.times = 2
    assert evaluated(pool, population).ravel().tolist() == [1, 3, 2, 5]


def test_a_new_worker_is_started_on_a_third_machine(population):
    assert LosingPool(lost_at_start=2).attempt(population).faults == {}


def test_a_new_worker_that_loses_three_machines_ends_the_search(population):
    with pytest.raises(RuntimeError, match="a worker could not start: it lost its machine"):
        LosingPool(lost_at_start=3).attempt(population)
