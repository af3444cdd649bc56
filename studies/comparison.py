"""Comparisons of methods over seeds: what is done already, the table, and the picture."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from genoevo_runs.statistics import mean_of_runs

Record = dict[str, Any]
Case = tuple[str, str, int]
"""The data set, the method and the seed."""


def run(path: Path, cases: Iterable[Case], measure: Callable[[str, str, int], Record | None]) -> list[Record]:
    """Measure each case that is not in the file of JSON lines yet, add it there, and return all records of the file.

    *measure* returns None for what cannot be measured, and prints why.
    """
    done = {(one["data"], one["method"], one["seed"]) for one in records(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    for data, method, seed in cases:
        if (data, method, seed) in done:
            continue
        began, used = time.perf_counter(), time.process_time()
        found = measure(data, method, seed)
        if found is None:
            continue
        times = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
        record = {"data": data, "method": method, "seed": seed, **found, **times}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        print(json.dumps(record), flush=True)
    return records(path)


def records(path: Path) -> list[Record]:
    """Return the records in the file, none if there is no file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def groups(found: list[Record]) -> Iterator[tuple[str, str, list[Record]]]:
    """Yield the records of each data set and method, in the order of the file."""
    for data in dict.fromkeys(one["data"] for one in found):
        for method in dict.fromkeys(one["method"] for one in found if one["data"] == data):
            yield data, method, [one for one in found if (one["data"], one["method"]) == (data, method)]


def table(found: list[Record], columns: dict[str, str], against: str) -> str:
    """Return the mean and the standard deviation over seeds of each column, given with its format.

    The last column is the difference in the first one to the method *against*, with its standard error over the seeds
    that both have.
    """
    head = f"{'data':<16}{'method':<26}{'seeds':>5}" + "".join(f"{name:>20}" for name in (*columns, "difference"))
    first, lines = next(iter(columns)), [head]
    for data, method, rows in groups(found):
        cells = []
        for name, shape in columns.items():
            values = np.array([one[name] for one in rows], dtype=np.float64)
            cells.append(f"{values.mean():{shape}} +- {values.std():{shape}}")
        others = {one["seed"]: one[first] for one in found if (one["data"], one["method"]) == (data, against)}
        pairs = [one[first] - others[one["seed"]] for one in rows if one["seed"] in others]
        if method != against and len(pairs) > 1:
            mean = mean_of_runs(np.array(pairs))
            cells.append(f"{mean.value:+{columns[first]}} +- {mean.error:{columns[first]}}")
        lines.append(f"{data:<16}{method:<26}{len(rows):>5}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


def picture(path: Path, found: list[Record], across: str, up: str) -> None:
    """Draw a panel per data set: *up* over *across*, a point per seed, a large one for a method's mean."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    names = list(dict.fromkeys(one["data"] for one in found))
    methods = list(dict.fromkeys(one["method"] for one in found))
    figure = Figure(figsize=(4.6 * len(names) + 1.4, 4.4), layout="constrained")
    panels = dict(zip(names, figure.subplots(1, len(names), squeeze=False)[0], strict=True))
    for data, method, rows in groups(found):
        values = np.array([[one[across], one[up]] for one in rows], dtype=np.float64)
        color = colormaps["tab10"](methods.index(method) % 10)
        panels[data].scatter(*values.T, s=12, alpha=0.4, color=color, linewidth=0)
        panels[data].scatter(*values.mean(axis=0), s=90, color=color, edgecolor="black", label=method, zorder=3)
    for data, axes in panels.items():
        axes.set(title=data, xlabel=across.replace("_", " "), ylabel=up.replace("_", " "), xscale="log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.spines[["top", "right"]].set_visible(False)
    shown = [axes.get_legend_handles_labels() for axes in panels.values()]
    handles = {label: handle for handles, labels in shown for handle, label in zip(handles, labels, strict=True)}
    figure.legend(handles.values(), handles, frameon=False, fontsize=8, loc="outside right upper")
    figure.savefig(path, dpi=150)
