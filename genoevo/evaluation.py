"""Where fitness is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from genoevo.genotype import Genotype
from genoevo.population import Population


class InProcess:
    """Calls *function* with one :class:`~genoevo.Genotype` after the other, in this process.

    *function* returns a float, or a sequence of floats with several objectives.
    """

    def __init__(self, function: Callable[[Genotype], float | Sequence[float]]) -> None:
        self.function = function

    def __call__(self, population: Population) -> npt.ArrayLike:
        """Fitness of every genotype, in order."""
        return [self.function(genotype) for genotype in population]


class Vectorised:
    """Calls *function* once with the whole :class:`~genoevo.Population`; it returns a (n,) or (n, k) array."""

    def __init__(self, function: Callable[[Population], npt.ArrayLike]) -> None:
        self.function = function

    def __call__(self, population: Population) -> npt.ArrayLike:
        """Fitness of every genotype, in order."""
        return self.function(population)


Evaluator = InProcess | Vectorised


def evaluated(evaluator: Evaluator, population: Population) -> npt.NDArray[np.float64]:
    """Fitness of *population* as float64; ValueError names the genotype where a value is NaN or infinite."""
    values = np.asarray(evaluator(population), dtype=np.float64)
    if values.shape[:1] == (len(population),) and not np.isfinite(values).all():
        row = int((~np.isfinite(values.reshape(len(values), -1))).any(axis=1).argmax())
        raise ValueError(f"the fitness of {population[row]} is {values[row]}; it must be finite")
    return values
