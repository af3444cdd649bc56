"""The choice of each task's policy within a limit of compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from genoevo_mega.experiments.costs import Costed
from genoevo_runs.errors import ConfigError, UserError


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


def choose(tasks: dict[str, list[Costed]], limit: Limit, full: int) -> dict[str, Costed]:
    """Return each task's best policy within *limit*: its elite, or else the one of the highest estimated success.

    UserError names the tasks that have none, and the cheapest policy of the first of them.
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
            f"and {modules}"
        )
    return chosen


def listed(found: list[Costed], chosen: Costed) -> list[dict[str, Any]]:
    """Return a task's policies as JSON values, the cheapest first; ``exported`` marks the *chosen* one."""
    return [{**one.as_json(), "exported": one is chosen} for one in found]
