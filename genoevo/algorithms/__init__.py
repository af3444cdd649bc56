"""Algorithms that need no tuning, with the interface of :class:`~genoevo.Evolution`, for one objective."""

from genoevo.algorithms.algorithm import Algorithm
from genoevo.algorithms.fast import FastGA
from genoevo.algorithms.lambda_lambda import LambdaLambdaGA
from genoevo.algorithms.ltga import LTGA, Mixed
from genoevo.algorithms.p3 import P3, Level
from genoevo.algorithms.solutions import Solutions

ALGORITHMS: dict[str, type[Algorithm]] = {kind.KIND: kind for kind in (FastGA, LambdaLambdaGA, LTGA, P3)}
"""The algorithms by the name in their state."""

__all__ = ["ALGORITHMS", "LTGA", "P3", "Algorithm", "FastGA", "LambdaLambdaGA", "Level", "Mixed", "Solutions"]
