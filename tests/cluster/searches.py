"""A search, and fitness functions that Ray pickles by value: its nodes need not import this file."""

import time
from contextlib import suppress

import numpy as np

from genoevo import Evolution, Population


def fitness_by(seconds=0.0, slow=None, counts=None, hold=None):
    """Return a fitness function that takes *seconds*, and twenty times as long on the node *slow*.

    In the directory *counts* it writes a byte for each evaluation into a file by its node. On the node that the file
    *hold* names, an evaluation first removes the file and then takes an hour.
    """

    def fitness(genotype):
        import ray

        here = ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
        time.sleep(20 * seconds if slow and here == slow else seconds)
        with suppress(FileNotFoundError):
            if hold and hold.read_text() == here:
                hold.unlink()
                time.sleep(3600)
        if counts:
            with (counts / here).open("ab") as file:
                file.write(b"x")
        bits = str(genotype)
        return bits.count("1") + 0.01 * bits.count("01")

    return fitness


def begun(evaluate, bits=40, **settings):
    start = Population.random(24, bits, np.random.default_rng(3))
    return Evolution(evaluate, start, seed=5, **settings)


def searched(evaluate, generations=5, bits=40):
    evolution = begun(evaluate, bits)
    evolution.run(generations)
    return evolution.state_dict()
