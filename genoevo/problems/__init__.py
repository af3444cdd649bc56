"""Problems with known optima, for tests and comparisons."""

from genoevo.problems.binary import HIFF, LeadingOnes, MessyDeceptive, OneMax, Trap
from genoevo.problems.knapsack import Knapsack
from genoevo.problems.landscape import NKLandscape
from genoevo.problems.problem import Problem, ShuffledProblem
from genoevo.problems.variable import SegmentTrap, VariableOneMax

PROBLEMS: dict[str, type[Problem]] = {
    "hiff": HIFF,
    "knapsack": Knapsack,
    "leadingones": LeadingOnes,
    "messy": MessyDeceptive,
    "nk": NKLandscape,
    "onemax": OneMax,
    "segment-trap": SegmentTrap,
    "trap": Trap,
    "variable-onemax": VariableOneMax,
}

__all__ = [
    "HIFF",
    "PROBLEMS",
    "Knapsack",
    "LeadingOnes",
    "MessyDeceptive",
    "NKLandscape",
    "OneMax",
    "Problem",
    "SegmentTrap",
    "ShuffledProblem",
    "Trap",
    "VariableOneMax",
]
