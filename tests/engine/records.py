"""Communities whose genotypes keep a record, and how they are played."""

import numpy as np

from genoevo.community import Candidates, RecordCommunity, Selection
from tests.engine.communities import LAYOUT

KEEPING = Candidates(children=4, first_generations=0, inertia=1e9)  # a genotype goes only if its record is worse
CHANGING = Candidates(children=4, first_generations=0, inertia=0.0, crowding=0.0, surrogate=1.0)


def community(tasks=1, **settings):
    return RecordCommunity(
        LAYOUT, [f"task {i}" for i in range(tasks)], **{"seed": 1, "selection": Selection(rule="record"), **settings}
    )


def add(one, success, returns=0.0, times=1):
    """Give each genotype episodes: *success* and *returns* are anything that broadcasts to (tasks, size)."""
    shape = len(one.tasks), one.size
    success, returns = (np.broadcast_to(np.asarray(each, float), shape) for each in (success, returns))
    for _ in range(times):
        for place in range(one.size):
            one.record.add(np.arange(shape[0]), np.full(shape[0], place), success[:, place], returns[:, place])


def play(one, success, returns=(0.0,), **step):
    """One round per element, each with one episode of every genotype. The shorter is padded by its last."""
    done = []
    for number in range(max(len(success), len(returns))):
        add(one, *(values[min(number, len(values) - 1)] for values in (success, returns)))
        done.append(one.step(**step))
    return done


def growths(one, success, returns=(0.0,), **step):
    """The rounds, counted from 1, in which task 0 grew."""
    rounds = play(one, success, returns, **step)
    return [number for number, done in enumerate(rounds, 1) if 0 in done.grown]
