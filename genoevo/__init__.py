"""genoevo: genetic algorithms for variable-length binary genotypes, built on DEAP."""

from importlib.metadata import PackageNotFoundError, version

from genoevo.community import Community
from genoevo.decode import decode, half_softmax
from genoevo.evolution import Evolution, Islands, Memory, Record, Selection, Stop, Survival
from genoevo.genotype import Genotype
from genoevo.layout import FlatLayout, StagedLayout
from genoevo.policies import load_policy
from genoevo.population import Population

try:
    __version__ = version("genoevo")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"


__all__ = [
    "Community",
    "Evolution",
    "FlatLayout",
    "Genotype",
    "Islands",
    "Memory",
    "Population",
    "Record",
    "Selection",
    "StagedLayout",
    "Stop",
    "Survival",
    "decode",
    "half_softmax",
    "load_policy",
]
