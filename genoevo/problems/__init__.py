"""Problems with known optima, for tests and comparisons."""

from genoevo.problems.binary import LeadingOnes, OneMax, Problem, Trap

PROBLEMS = {"onemax": OneMax, "leadingones": LeadingOnes, "trap": Trap}

__all__ = ["PROBLEMS", "LeadingOnes", "OneMax", "Problem", "Trap"]
