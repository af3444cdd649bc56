"""Fitness functions that fail in their ways. A module of its own: worker processes import it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np

from genoevo import Genotype
from genoevo.evaluation import Failure

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


def typo(genotype):
    return genotype.bits.summ()


def typo_at_once(population):
    return population.bits().summ(axis=1)


class UnshowableError(Exception):
    """An exception that cannot be pickled and has no text."""

    def __init__(self, genotype):
        super().__init__(genotype)
        self.handle = lambda: None

    def __str__(self):
        raise RuntimeError("no text")


def unshowable(genotype):
    if genotype == BAD:
        raise UnshowableError(genotype)
    return len(genotype)


class Odd:
    """Something that looks like a tensor that requires a gradient, or like nothing that can be shown."""

    def __init__(self, kind):
        self.kind = kind

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def __repr__(self):
        raise RuntimeError("no repr")

    def __getattr__(self, name):
        if name == "detach" and self.kind == "a gradient":
            return lambda: Plain(7.0)
        raise AttributeError(name)


class Plain:
    def __init__(self, value):
        self.value = value

    def tolist(self):
        return self.value


class returning:  # noqa: N801
    """A function that returns something odd for the bad genotype."""

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, genotype):
        if genotype != BAD:
            return len(genotype)
        return {
            "a gradient": Odd("a gradient"),
            "a huge number": 10**5000,
            "text": "7",
            "complex": np.complex128(7),
            "no repr": Odd("nothing"),
            "a masked number": np.ma.array([7.0], mask=[True]),
        }[self.kind]


ODD = ["a gradient", "a huge number", "text", "complex", "no repr", "a masked number"]


def odd_by_length(genotype):
    if len(genotype) <= len(ODD):
        return returning(ODD[len(genotype) - 1])(BAD)
    if len(genotype) == len(ODD) + 1:
        raise UnshowableError(genotype)
    return len(genotype)


class OwnEvaluator:
    """An evaluator of a user's own, with one answer to everything."""

    def __init__(self, answer):
        self.answer, self.failure = answer, Failure()

    def attempt(self, population, *, hasty=False):
        return self.answer


def with_a_child(genotype):
    with multiprocessing.get_context("spawn").Pool(1) as inner:
        return sum(inner.map(abs, list(genotype)))


class ChildThatSleeps:
    """Starts a process and writes the numbers of this process and of the other to a file."""

    def __init__(self, path, hangs):
        self.path, self.hangs = path, hangs

    def __call__(self, genotype):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        with open(self.path, "w") as file:
            file.write(f"{os.getpid()} {child.pid}\n")
        if self.hangs:
            time.sleep(60)
        return len(genotype)
