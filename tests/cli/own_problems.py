"""A module that a user of ``genoevo evolve`` might write, as text."""

MINE = '''
import numpy as np
from genoevo import FlatLayout, Population
from genoevo.evaluation import Vectorised
from genoevo.problems import Problem

def ones(genotype, factor: float = 1.0, shift=0):
    return factor * genotype.bits.sum() + shift

def needy(genotype, depth):
    return genotype.bits.sum() + depth

def broken(genotype):
    return 1 / 0

def of_size(genotype, size=10):
    return size

class Fixed:
    size, layout = 32, FlatLayout(precision=16, genes=2)
    def __call__(self, genotype):
        return sum(genotype)

class Exact:
    size, optimum = 8, np.int64(8)
    def __init__(self, rate=1.0):
        self.rate = rate
    def __call__(self, genotype):
        return sum(genotype)
    def decode(self, genotype):
        return self.rate

class Pairs:
    """Pairs of equal bits, as few as can be."""
    fitness_weights = (-1.0,)
    optimum = 0
    def __init__(self, size=12, kind="near", strict=False):
        self.size, self.kind, self.strict = size, kind, strict
    def __call__(self, genotype):
        bits = genotype.bits
        return int((bits[1:] == bits[:-1]).sum())
    def decode(self, genotype):
        return {"first": int(genotype[0]), "kind": self.kind, "strict": self.strict, "bits": np.asarray(genotype)}

class Palindrome(Problem):
    def _values(self, population):
        bits = population.bits()
        return (bits == bits[:, ::-1]).sum(axis=1, dtype=float)

class Bounded:
    """Ones, of which there may be five."""
    size = 16
    fitness_weights = (1.0, -1.0)
    constraints = 1
    def __call__(self, genotype):
        return sum(genotype), sum(genotype) - 5
    def decode(self, genotype):
        return {1, 2}

class Growing:
    size, layout = 6, FlatLayout(precision=2)
    def random(self, n, rng):
        return [[0, 1] * (1 + i % 3) for i in range(n)]
    def __call__(self, genotype):
        return len(genotype)

class Spoilt(Pairs):
    def decode(self, genotype):
        raise KeyError("nothing")

class Refusing:
    def __init__(self):
        raise RuntimeError("no data")

class Few(Growing):
    def random(self, n, rng):
        return ["01"]

class Laid(Growing):
    layout = 5

class Mute:
    size = 3

number = 5
ready = Palindrome(14)
at_once = Vectorised(Palindrome(14))
'''
