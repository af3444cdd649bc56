"""The choice of each task's policy within a limit of compute."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from genoevo_mega.experiments.costs import Costed
from genoevo_runs.errors import ConfigError, UserError

_WITHOUT = "the run has frontier.size = 0, so elites are all there is: train with frontier.size for cheaper ones"


@dataclass(frozen=True)
class Limit:
    """The most that a task's policy may take.

    ``budget`` is a share, in (0, 1], of the multiply-adds of a policy that uses the whole pool, and ``max_modules`` a
    number of modules. None is no limit. ConfigError for any other value.
    """

    budget: float | None = None
    max_modules: int | None = None

    def __post_init__(self) -> None:
        if self.budget is not None and not 0 < self.budget <= 1:
            raise ConfigError(f"budget = {self.budget}: must be above 0 and at most 1")
        if self.max_modules is not None and self.max_modules < 0:
            raise ConfigError(f"max_modules = {self.max_modules}: must be at least 0")

    def __bool__(self) -> bool:
        return self.budget is not None or self.max_modules is not None

    def __str__(self) -> str:
        given = {"budget": self.budget, "max_modules": self.max_modules}
        return ", ".join(f"{name} = {value}" for name, value in given.items() if value is not None)

    def allows(self, one: Costed, full: int) -> bool:
        """Return whether a policy is within the limit; *full* are the multiply-adds of the whole pool's."""
        within_budget = self.budget is None or one.multiply_adds <= self.budget * full
        return within_budget and (self.max_modules is None or one.modules <= self.max_modules)


def choose(tasks: dict[str, list[Costed]], limit: Limit, full: int, *, frontiers: bool = True) -> dict[str, Costed]:
    """Return each task's best policy within *limit*: its elite, or else the one of the highest estimated success.

    UserError names the tasks that have none, the cheapest policy of the first of them, and the smallest limit within
    which every task has one; or, in a run without *frontiers*, that there could be more policies to choose from.
    """
    chosen: dict[str, Costed] = {}
    without = []
    for name, found in tasks.items():
        allowed = [one for one in found if limit.allows(one, full)]
        if allowed:
            chosen[name] = max(allowed, key=lambda one: (one.member.elite, one.member.success or 0.0))
        else:
            without.append(name)
    if without:
        first, others = without[0], len(without) - 1
        cheapest = tasks[first][0]
        also = f", nor any of {others} other task{'s' * (others > 1)}" if others else ""
        modules = f"{cheapest.modules} module{'s' * (cheapest.modules != 1)}"
        raise UserError(
            f"{limit}: no policy of {first} is within it{also}; the cheapest of {first} takes "
            f"{cheapest.multiply_adds:,} multiply-adds, {cheapest.multiply_adds / full:.2f} of the whole pool's, "
            f"and {modules}; {_advice(tasks, limit, full) if frontiers else _WITHOUT}"
        )
    return chosen


def _advice(tasks: dict[str, list[Costed]], limit: Limit, full: int) -> str:
    """Return a sentence with the smallest limit within which every task has a policy."""
    least, cheapest = limit, [found[0] for found in tasks.values()]
    if limit.max_modules is not None:
        # With a budget as well, both are those of the cheapest policies.
        fewest = (
            cheapest if limit.budget is not None else [min(f, key=lambda one: one.modules) for f in tasks.values()]
        )
        least = replace(least, max_modules=max(one.modules for one in fewest))
    if limit.budget is not None:
        share = max(one.multiply_adds for one in cheapest) / full
        hundredths = math.ceil(100 * share)
        least = replace(least, budget=min(hundredths / 100, 1.0))
        if not all(least.allows(one, full) for one in cheapest):  # rounded to just below
            least = replace(least, budget=min((hundredths + 1) / 100, 1.0))
    return f"every task has one within {least}"


def listed(found: list[Costed], chosen: Costed) -> list[dict[str, Any]]:
    """Return a task's policies as JSON values, the cheapest first; ``exported`` marks the *chosen* one."""
    return [{**one.as_json(), "exported": one is chosen} for one in found]
