"""The common part of all benchmarks in this folder: two options, and the output."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

Measured = tuple[dict[str, float], dict[str, Any]]  # the ratios, and all other figures, by name


def report(description: str, measure: Callable[..., Measured], sizes: Sequence[str] = ()) -> None:
    """Measure, quickly or not, and print: JSON alone with ``--json``, otherwise a line for each ratio and figure.

    A figure that is a dict or a list of dicts is a table. *measure* also gets one of *sizes*, if there are any: the
    first by default, or that of ``--sizes``.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="under 50 s on two cores: fewer turns, smaller tables")
    parser.add_argument("--json", action="store_true", help="print JSON alone on standard output")
    if sizes:
        parser.add_argument("--sizes", choices=sizes, default=sizes[0], help=f"[default: {sizes[0]}]")
    arguments = parser.parse_args()
    ratios, figures = measure(arguments.quick, *([arguments.sizes] if sizes else []))
    if arguments.json:
        json.dump({"ratios": ratios, "figures": figures}, sys.stdout)
        print()
        return
    for name, value in ratios.items():
        print(f"{name:40}{value:10.2f} x")
    for name, value in figures.items():
        if isinstance(value, list | dict):
            rows = [value] if isinstance(value, dict) else value
            print(f"\n{name}\n  " + "".join(f"{column:>20}" for column in rows[0]))
            for row in rows:
                print("  " + "".join(f"{cell:>20.4g}" for cell in row.values()))
        else:
            print(f"{name:40}{value:12.4g}")


def fastest(turns: int, *functions: Callable[[], Any], clock: Callable[[], float] | None = None) -> list[float]:
    """Return the seconds of each function's fastest turn.

    The functions take turns, because the noise of a shared machine comes in spells. With the process's CPU time as
    the *clock*, what other processes take of a core does not count; only one thread may work.
    """
    clock = clock or time.perf_counter
    times = [float("inf")] * len(functions)
    for _ in range(turns):
        for index, function in enumerate(functions):
            begin = clock()
            function()
            times[index] = min(times[index], clock() - begin)
    return times
