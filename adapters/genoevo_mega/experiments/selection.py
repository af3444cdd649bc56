"""Whether selection tells genotypes apart, from the records of a run's rounds.

How often elites survive says something only under ``selection.rule = round``: there every elite must win against its
task's other genotypes again in each round, and if all were equally good it would do so in 1 of ``population_size``
cases. Under ``record`` an elite stays unless another is better by more than its noise, so it survives whatever it is
worth. The records of rejected genotypes say nothing either: they were rejected because their records are worse. What
counts is episodes that came after the choice. So the elite is compared, in the episodes of every round, with those
other genotypes of its task that selection had seen before and that are at least half as old. If selection preferred
nothing, the elite would do better than another in half of the cases [O].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genoevo_runs.arrays import Doubles, Flags

ERRORS = 1.96
"""Standard errors to each side of an estimate that make its interval."""
_WIDEST = 0.1  # half an interval, above which it is too wide to say that selection finds nothing


@dataclass(frozen=True)
class SelectionLog:
    """What selection did, by round: R rounds of T tasks, with ``size`` genotypes each.

    Attributes
    ----------
    survived : bool
        (R, T): whether the elite stayed.
    wins : float64
        (R, T): the share of comparable genotypes that the elite did better than in the round's own episodes, by
        success and then by return; ties count half. NaN if there was none to compare with.
    correlation, overlap : float64
        (R,): as in the records; NaN if they have none.

    """

    size: int
    survived: Flags
    wins: Doubles
    correlation: Doubles
    overlap: Doubles

    @classmethod
    def of_records(cls, rounds: Sequence[dict[str, Any]]) -> SelectionLog | None:
        """Return the log of records of kind ``round``; None if there are none, or none with genotypes."""
        if not rounds or not all(record.get("genealogy", {}).get("children") for record in rounds):
            return None
        tasks, seen = list(rounds[0]["success"]), [record.get("selection", {}) for record in rounds]
        return cls(
            size=1 + len(rounds[0]["genealogy"]["children"][0]),
            survived=np.array([record["genealogy"]["survivors"] for record in rounds]) == 0,
            wins=_wins(seen, tasks),
            correlation=_numbers(seen, "surrogate_correlation"),
            overlap=_numbers(seen, "overlap"),
        )

    def summary(self, rule: str) -> dict[str, Any]:
        """Return the figures of all rounds as JSON values; *rule* is the run's ``selection.rule``.

        ``survival``: the share of ``cases`` in which an elite stayed after the first round, which chose the first
        elites, and the share by ``chance``, null under ``record``. ``wins``: the share of other genotypes that elites
        did better than, in ``cases`` of a task in a round, with its standard ``error``; null without. Also the
        mean ``surrogate_correlation``, the last ``overlap``, each null without, and ``warning``, null or a sentence.
        """
        after = self.survived[1:]
        chance = 1 / self.size if rule == "round" else None
        wins = self.wins[~np.isnan(self.wins)]
        known = ~np.isnan(self.overlap)
        found: dict[str, Any] = {
            "rule": rule,
            "survival": {"share": _mean(after), "cases": int(after.size), "chance": chance},
            "wins": {"share": _mean(wins), "error": _error(wins), "cases": len(wins)} if len(wins) else None,
            "surrogate_correlation": _mean(self.correlation[~np.isnan(self.correlation)]),
            "overlap": float(self.overlap[known][-1]) if known.any() else None,
        }
        return {**found, "warning": warning(found)}


def warning(found: dict[str, Any]) -> str | None:
    """Return a sentence if selection does no better than chance by the figures of a summary; None if they are few."""
    survival, wins = found["survival"], found["wins"]
    if survival["chance"] is not None:
        share, chance, cases = survival["share"], survival["chance"], survival["cases"]
        margin = ERRORS * (chance * (1 - chance) / max(cases, 1)) ** 0.5
        if margin > _WIDEST or share > chance + margin:
            return None
        return (
            f"elites survived {share:.1%} of {cases:,} rounds of a task, by chance it would be {chance:.1%} (up to "
            f"{chance + margin:.1%}): single episodes do not tell genotypes apart"
        )
    if wins is None or wins["error"] is None:
        return None
    margin = ERRORS * wins["error"]
    if margin > _WIDEST or wins["share"] > 0.5 + margin:
        return None
    return (
        f"after they were chosen, elites did better than {wins['share']:.1%} of the genotypes at least half as old, "
        f"in {wins['cases']:,} rounds of a task, by chance it would be 50% (up to {0.5 + margin:.1%}): selection has "
        "found no better genotypes"
    )


def _wins(records: list[dict[str, Any]], tasks: list[str]) -> Doubles:
    """Return the share of comparable genotypes that each elite did better than, (R, T); NaN if there are none.

    A round under the rule of single rounds, or of an early version, tells nothing.
    """
    found = np.full((len(records), len(tasks)), np.nan)
    told = [row for row, one in enumerate(records) if _has_ages(one.get("genotypes", {}), tasks)]
    if not told:
        return found
    success, returns, age = (
        np.array([[records[row]["genotypes"][task][name] for task in tasks] for row in told], np.float64)
        for name in ("round_success", "round_return", "age")
    )
    elite = slice(None, 1)  # the first genotype of each task
    ahead = _compared(success[..., elite], success[..., 1:])
    ahead = np.where(ahead == 0, _compared(returns[..., elite], returns[..., 1:]), ahead)
    # With the age of 1 a genotype had its first episode in this round: nothing was chosen before.
    peers = (age[..., 1:] > 1) & (2 * age[..., 1:] >= age[..., elite]) & (age[..., elite] > 1)
    count = peers.sum(axis=-1)
    shares = ((ahead + 1) / 2 * peers).sum(axis=-1) / np.maximum(count, 1)
    found[told] = np.where(count > 0, shares, np.nan)
    return found


def _has_ages(genotypes: dict[str, Any], tasks: list[str]) -> bool:
    of_tasks = [genotypes.get(task) for task in tasks]
    return all(isinstance(columns, dict) and columns.get("age") is not None for columns in of_tasks)


def _compared(ours: Doubles, theirs: Doubles) -> Doubles:
    """Return 1, 0 or -1 for more, equal or less."""
    return np.asarray(np.sign(ours - theirs))


def _numbers(records: list[dict[str, Any]], name: str) -> Doubles:
    return np.array([np.nan if record.get(name) is None else record[name] for record in records], np.float64)


def _mean(values: Doubles | Flags) -> float | None:
    return float(values.mean()) if values.size else None


def _error(values: Doubles) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
