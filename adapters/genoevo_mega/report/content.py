"""The data of a page about runs: plain JSON values, reduced to what a screen can show.

Rates and shares are integers in thousandths, because a page of fifty tasks has about a hundred thousand of them.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np

from genoevo import StagedLayout
from genoevo_mega.config.presets import PRESETS
from genoevo_mega.config.run import Config, build_config, preset
from genoevo_mega.report import reader
from genoevo_mega.report.genealogy import Birth, donations, lines_of_descent
from genoevo_mega.report.rates import intervals, mean_over_tasks
from genoevo_mega.report.reader import Log, LoggedRun
from genoevo_mega.report.selection import frontiers, selection, warnings
from genoevo_mega.report.structure import clustered, graph_of, shares_of
from genoevo_mega.training.clock import CATEGORIES
from genoevo_runs.arrays import Ints
from genoevo_runs.report.page import register
from genoevo_runs.settings import flat

WINDOWS = 150
"""Maximum number of points of a curve."""
EPISODES = 30
"""Minimum number of episodes per task and point, if the run has enough for :data:`FEWEST` such points."""
FEWEST = 12

register("mega", files("genoevo_mega.report") / "assets" / "mega.js")


def data_of(runs: list[LoggedRun]) -> dict[str, Any]:
    """Return the data of a page about one run, or of a comparison of several."""
    parts = [_run(run) for run in runs]
    names = [part["name"] for part in parts]
    title = names[0] if len(runs) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return {
        "kind": "mega",
        "title": title,
        "summary": [part["summary"] for part in parts] + _told(runs) + warnings(parts),
        "runs": parts,
        "differences": _between([run.config for run in runs]) if len(runs) > 1 else [],
    }


def _told(runs: list[LoggedRun]) -> list[str]:
    """Return what was told about the tasks of each run when it began."""
    return [f"{run.name}: {line}." for run in runs if run.info for line in run.info["warnings"]]


def _run(run: LoggedRun) -> dict[str, Any]:
    log, config = run.log, run.config
    starts = window_starts(log)
    return {
        "name": run.name,
        "directory": str(run.directory),
        "architecture": config.architecture,
        "suite": config.suite,
        "seed": config.seed,
        "command": reader.command_line(run.command),
        "steps": max(int(log.steps[-1]) if log.rounds else 0, run.info["steps"] if run.info else 0),
        "target": config.steps,
        "rounds": log.rounds,
        "info": _facts(run.info),
        "tasks": log.tasks,
        "mastery": config.growth.mastery,
        "summary": summary(run),
        **_curves(log, starts),
        "evaluation": _evaluation(log),
        **_structure(log, config),
        "selection": selection(log, config.selection.rule, starts),
        "frontiers": frontiers(run),
        "genealogy": _genealogy(log),
        "time": _time(run, starts),
        "config": _differences(run),
    }


# ------------------------------------------------------------------------------------------------------- success


def window_starts(log: Log) -> Ints:
    """Return the first round of every window; lengths of windows differ by one round at most."""
    if not log.rounds:
        return np.zeros(0, np.int64)
    per_round = max(int(log.episodes.min()), 1)
    length = max(-(-log.rounds // WINDOWS), min(-(-EPISODES // per_round), -(-log.rounds // FEWEST)))
    count = log.rounds // length
    return np.arange(count) * log.rounds // count


def _curves(log: Log, starts: Ints) -> dict[str, Any]:
    if not log.rounds:
        empty = {"low": [], "high": [], "rate": []}
        return {"window_steps": [], "success": [], "mean": empty, "stage": [], "effective": [], "return": []}
    ends = np.append(starts[1:], log.rounds) - 1
    episodes = np.add.reduceat(log.episodes, starts)
    successes = np.add.reduceat(log.success * log.episodes, starts).round().astype(np.int64)
    lengths = np.diff(starts, append=log.rounds)[:, None]
    return {
        "window_steps": log.steps[ends].tolist(),
        "window_rounds": (ends + 1).tolist(),
        "episodes": episodes[-1].tolist(),
        "success": [intervals(*counts) for counts in zip(successes.T, episodes.T, strict=True)],
        "mean": mean_over_tasks(successes, episodes),
        "stage": log.stage[ends].T.tolist(),
        "effective": (np.add.reduceat(log.effective, starts) / lengths).round(1).T.tolist(),
        "return": (np.add.reduceat(log.returns, starts) / lengths).round(1).T.tolist(),
        "pool": log.pool_size[ends].tolist(),
    }


def _evaluation(log: Log) -> dict[str, Any]:
    found = log.evaluations
    episodes = np.array([record["episodes"] for record in found], np.int64)
    rates = np.array([[record["greedy_success"][task] for task in log.tasks] for record in found])
    if not found or not log.tasks:
        return {"steps": [], "episodes": [], "success": []}
    successes = (rates * episodes[:, None]).round().astype(np.int64)
    return {
        "steps": [record["step"] for record in found],
        "episodes": episodes.tolist(),
        "success": [intervals(column, episodes) for column in successes.T],
        "mean": mean_over_tasks(successes, np.broadcast_to(episodes[:, None], successes.shape)),
    }


def summary(run: LoggedRun) -> str:
    """Return the state of a run in one or two sentences."""
    log = run.log
    if not log.rounds:
        return f"{run.name}: no round has finished yet."
    if log.evaluations:
        last = log.evaluations[-1]
        rates, source = last["greedy_success"], f"{last['episodes']} greedy episodes on unseen goals each"
    else:
        window = log.success[window_starts(log)[-1] :].mean(axis=0)
        rates, source = dict(zip(log.tasks, window, strict=True)), "training episodes"
    mastery, grown = run.config.growth.mastery, int((log.stage[-1] > run.config.genotypes.start_stage).sum())
    mastered = sum(rate >= mastery for rate in rates.values())
    mean, enough = sum(rates.values()) / len(rates), f"{mastery:.0%}" + " or more" * (mastery < 1)
    grew = f" {_grew(grown, len(rates))}; the pool has {int(log.pool_size[-1])} modules." if log.elites else ""
    return (
        f"{run.name} has mastered {mastered} of {len(rates)} tasks (success of {enough}) after "
        f"{int(log.steps[-1]):,} environment steps and {log.rounds:,} rounds; mean success {mean:.0%}, over "
        f"{source}.{grew}"
    )


def _grew(grown: int, tasks: int) -> str:
    if grown in (0, tasks):
        return f"{'All' if grown else 'No'} task{'s' * (grown > 0)} grew past the first stage"
    return f"{grown} task{'s' * (grown > 1)} grew past the first stage, {tasks - grown} did not"


def _facts(info: dict[str, Any] | None) -> dict[str, Any] | None:
    if info is None:
        return None
    return {name: info[name] for name in ("steps", "updates", "pool_size", "sizes", "digest", "budget")}


# ----------------------------------------------------------------------------------------- structure, descent


def _structure(log: Log, config: Config) -> dict[str, Any]:
    if not log.elites:
        return {"graphs": [], "community": None, "genotypes": []}
    layout = StagedLayout(config.genotypes.precision)
    bits = [log.elites[task] for task in log.tasks]
    graphs = [graph_of(one, layout, config.decoding) for one in bits]
    shares = shares_of(bits, layout, config.decoding)
    community = clustered(shares)
    return {
        "genotypes": bits,
        "graphs": [
            {
                "stage": graph.stage,
                "shares": [round(1000 * share) for share in graph.shares],
                "edges": [[a, b, round(w, 3), round(1000 * share)] for a, b, w, share in graph.edges],
            }
            for graph in graphs
        ],
        "community": {
            "order": community["order"],
            "tree": [[[round(x, 2) for x in xs], [round(y, 4) for y in ys]] for xs, ys in community["tree"]],
            "shares": (1000 * shares).round().astype(int).tolist(),
            "similarity": (1000 * community["similarity"]).round().astype(int).tolist(),
        },
    }


def _genealogy(log: Log) -> dict[str, Any]:
    lines = lines_of_descent(log.survivors, log.children)
    changes = [np.flatnonzero(np.diff(log.stage[:, task])) + 1 for task in range(len(log.tasks))]
    return {
        "births": [[_birth(birth) for birth in line] for line in lines],
        "stages": [[[int(row) + 1, int(log.stage[row, task])] for row in rows] for task, rows in enumerate(changes)],
        "donations": donations(lines).tolist(),
    }


def _birth(birth: Birth) -> list[int]:
    return [birth.round, int(birth.origin), -1 if birth.donor is None else birth.donor]


# ------------------------------------------------------------------------------------------------ time, config


def _time(run: LoggedRun, starts: Ints) -> dict[str, Any]:
    times = run.log.times
    last = run.info["time"] if run.info else {}
    if times and sum(last.values()) < sum(_seconds(times[-1])):
        last = times[-1]
    ends = [times[min(end, len(times)) - 1] for end in (*starts[1:], len(times))] if times else []
    table = np.array([_seconds(record) for record in ends]).reshape(-1, len(CATEGORIES))
    spent = np.maximum(np.diff(table, axis=0, prepend=0), 0)
    shares = spent / np.maximum(spent.sum(axis=1, keepdims=True), 1e-9)
    return {
        "categories": list(CATEGORIES),
        "seconds": [round(last.get(name, 0.0), 2) for name in CATEGORIES],
        "steps": [record["step"] for record in ends],
        "shares": (1000 * shares).round().astype(int).T.tolist(),
    }


def _seconds(record: dict[str, float]) -> list[float]:
    return [record.get(name, 0.0) for name in CATEGORIES]


def _differences(run: LoggedRun) -> dict[str, Any]:
    """Return the preset that a run began with, or else the nearest one, and all settings that differ from it."""
    mine = _values(run.config)
    named = reader.preset_of(run.command)
    others = {name: _values(build_config(preset(name))) for name in ([named] if named in PRESETS else PRESETS)}
    changes = {
        name: [[key, other.get(key), value] for key, value in mine.items() if value != other.get(key)]
        for name, other in others.items()
    }
    nearest = min(changes, key=lambda name: len(changes[name]))
    return {"preset": nearest, "named": nearest == named, "changes": changes[nearest]}


def _between(configs: list[Config]) -> list[list[Any]]:
    values = [_values(config) for config in configs]
    keys = dict.fromkeys(key for one in values for key in one)
    rows = [[key, *(one.get(key) for one in values)] for key in keys]
    return [row for row in rows if any(value != row[1] for value in row[2:])]


def _values(config: Config) -> dict[str, Any]:
    return flat(config.model_dump(mode="json"))
