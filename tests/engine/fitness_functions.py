"""Fitness functions that fail in their ways. A module of its own: worker processes import it."""

import os
import signal
import time

import numpy as np

from genoevo import Genotype

BAD = Genotype("111")


def length(genotype):
    return len(genotype)


def lengths(population):
    return population.lengths


def raising(genotype):
    if genotype == BAD:
        raise KeyError("no such bit")
    return len(genotype)


def raising_at_once(population):
    if BAD in list(population):
        raise KeyError("no such bit")
    return population.lengths


def nan(genotype):
    return float("nan") if genotype == BAD else len(genotype)


def nan_at_once(population):
    return [nan(genotype) for genotype in population]


def infinite(genotype):
    return float("inf") if genotype == BAD else len(genotype)


def infinite_at_once(population):
    return [infinite(genotype) for genotype in population]


def of_two_values(genotype):
    return (1.0, 2.0) if genotype == BAD else len(genotype)


def of_two_values_at_once(population):
    return np.zeros((len(population), 2)) if BAD in list(population) else population.lengths


def no_number(genotype):
    return "seven" if genotype == BAD else len(genotype)


def no_number_at_once(population):
    return [no_number(genotype) for genotype in population]


def hanging(genotype):
    if genotype == BAD:
        time.sleep(60)
    return len(genotype)


def dying(genotype):
    if genotype == BAD:
        os.kill(os.getpid(), signal.SIGKILL)
    return len(genotype)


def exiting(genotype):
    if genotype == BAD:
        raise SystemExit(3)
    return len(genotype)


def pair(genotype):
    return len(genotype), -int(genotype.bits.sum())


def process_id(genotype):
    return os.getpid()


class Flaky:
    """Raises for the bad genotype so many times; calls are marks in a folder, which all processes see."""

    def __init__(self, folder, times):
        self.folder, self.times = folder, times

    def __call__(self, genotype):
        if genotype == BAD and len(list(self.folder.iterdir())) < self.times:
            (self.folder / str(time.monotonic_ns())).touch()
            raise OSError("the simulator crashed")
        return len(genotype)
