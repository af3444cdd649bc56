"""The record of a round as JSON values: where genotypes come from, and what selection saw and did."""

from __future__ import annotations

from typing import Any

import numpy as np

from genoevo.community import RecordRound, Round
from genoevo_mega.evolution.frontiers import Member
from genoevo_runs.arrays import Doubles, Ints


def genealogy(done: Round | RecordRound) -> dict[str, Any]:
    """Return where the genotypes of the next generation come from.

    ``survivors``: for each task the place, within its population, of the genotype that stays and becomes the first of
    the next generation. ``children``: for each task its other genotypes, each [origin, parent, parent], with
    :class:`~genoevo.operators.reproduction.Origin` and rows of the evaluated community; -1 means no parent. The
    origin of a genotype that stays is -1, if genotypes keep a record, and its parent is itself.
    """
    children = np.concatenate([done.origins[:, :, None], done.parents], axis=2)
    return {"survivors": done.elites.tolist(), "children": children.tolist()}


def selection(
    done: Round | RecordRound, tasks: list[str], episodes: Ints, performance: Doubles, mean_return: Doubles
) -> dict[str, Any]:
    """Return what selection saw and did.

    *episodes* (tasks, size) counts the round's episodes, *performance* and *mean_return* (tasks, size) are their
    means. ``survived``: the share of tasks whose elite stays. ``genotypes``: by task lists with an entry for each
    genotype, the former elite first: ``episodes``, ``round_success`` and ``round_return``, of the round alone.

    For genotypes with a record these also have ``success``, ``error`` (its standard error), ``relative_return``,
    ``age``, ``rejected`` and ``surrogate`` (only if candidates were judged). Then there are ``overlap`` between the
    elites of two tasks, ``kept``, the mean number of genotypes that stay in a task, and ``surrogate_correlation``,
    the rank correlation within tasks of the scores without episodes and the returns of this round, which came after
    them (null without).
    """
    found: dict[str, Any] = {"survived": float(np.mean(done.elites == 0))}
    of_round = {
        "episodes": episodes,
        "round_success": performance.round(4),
        "round_return": mean_return.round(4),
    }
    if isinstance(done, Round):
        return {**found, "genotypes": _by_task(tasks, of_round)}
    found["overlap"] = round(done.overlap, 6)
    found["kept"] = float(done.kept.mean())
    found["surrogate_correlation"] = rank_correlation(done.surrogate, mean_return, done.age)
    columns: dict[str, Any] = {
        "success": done.success.mean.round(4),
        "error": done.success.error.round(4),
        "relative_return": done.relative_return.mean.round(4),
        "age": done.age,
        "rejected": done.rejected,
        **of_round,
    }
    unknown = np.isnan(done.surrogate)
    if not unknown.all():
        columns["surrogate"] = np.where(unknown, None, done.surrogate.round(4).astype(object))
    return {**found, "genotypes": _by_task(tasks, columns)}


def _by_task(tasks: list[str], columns: dict[str, Any]) -> dict[str, Any]:
    return {task: {name: column[t].tolist() for name, column in columns.items()} for t, task in enumerate(tasks)}


def frontier(tasks: list[str], members: list[list[Member]]) -> dict[str, Any]:
    """Return the settled genotypes of *tasks*: by task a list, the cheapest first.

    An entry has the genotype's ``bits``, ``price``, ``success``, ``error`` and ``age``, see
    :class:`~genoevo_mega.evolution.frontiers.Member`.
    """
    return {
        task: [
            {
                "bits": one.bits,
                "price": one.price,
                "success": _short(one.success),
                "error": _short(one.error),
                "age": one.age,
            }
            for one in of_task
            if one.settled
        ]
        for task, of_task in zip(tasks, members, strict=True)
    }


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def rank_correlation(scores: Doubles, results: Doubles, age: Ints) -> float | None:
    """Return Spearman's correlation of *scores* and *results*, ranked within tasks, (tasks, size) each.

    Only genotypes with a score and an *age* above 0 count, in tasks with at least two; None if there are none.
    """
    pairs = []
    for ours, theirs, rounds in zip(scores, results, age, strict=True):
        known = ~np.isnan(ours) & (rounds > 0)
        if known.sum() > 1:
            ranks = [_centred_ranks(values[known]) for values in (ours, theirs)]
            pairs.append(np.stack(ranks))
    if not pairs:
        return None
    x, y = np.concatenate(pairs, axis=1)
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale else None


def _centred_ranks(values: Doubles) -> Doubles:
    """Return the ranks of (n,) values, equal ones with the mean of theirs, minus their mean."""
    below = (values[:, None] > values).sum(axis=1)
    return np.asarray(below + (values[:, None] == values).sum(axis=1) / 2 - len(values) / 2)
