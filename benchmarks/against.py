"""Compare the benchmarks of this checkout and of another commit, in turns in one run.

    python benchmarks/against.py a94c09e [--only learner training] [--turns 7] [--quick] [--json]

Each turn runs a benchmark on both trees, ``--quick``, as processes of this Python; every other turn starts with the
other tree. A ratio is this checkout's figure divided by the other commit's of the same turn, and the printed ratio is
the median over the turns. Figures per second are better above 1, seconds below 1. ``--quick`` makes one turn of the
learner alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FIGURES = {"learner": ("ours updates/s", "plain updates/s"), "training": ("wall s", "learner alone wall s")}
"""The compared figures of each benchmark; the plain learner is the same code on both sides and shows the noise."""


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """Check *revision* out for the duration of the context."""
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def measure(tree: Path, name: str) -> dict[str, Any]:
    """Return all figures and ratios of a benchmark of *tree*."""
    path = os.pathsep.join(str(tree / folder) for folder in (".", "adapters", "cli"))
    environment = os.environ | {"PYTHONPATH": path}
    command = [sys.executable, str(tree / "benchmarks" / f"{name}.py"), "--quick", "--json"]
    done = subprocess.run(command, env=environment, cwd=tree, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)
    return found["figures"] | found["ratios"]


def compare(name: str, here: Path, there: Path, turns: int) -> dict[str, list[float]]:
    """Return the ratio of each figure in each turn."""
    ratios: dict[str, list[float]] = {figure: [] for figure in FIGURES[name]}
    for turn in range(turns):
        order = (here, there) if turn % 2 else (there, here)
        measured = {tree: measure(tree, name) for tree in order}
        for figure, values in ratios.items():
            values.append(measured[here][figure] / measured[there][figure])
            print(f"{name}, turn {turn + 1}: {figure} {values[-1]:.3f}", file=sys.stderr, flush=True)
    return ratios


def main() -> None:
    """Compare, and print a line for each figure, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", nargs="?", default="HEAD", help="the other commit  [default: HEAD]")
    parser.add_argument("--only", nargs="+", choices=list(FIGURES), default=list(FIGURES))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one turn of the learner")
    parser.add_argument("--json", action="store_true", help="print JSON alone on standard output")
    asked = parser.parse_args()
    names, turns = (["learner"], 1) if asked.quick else (asked.only, asked.turns)
    with worktree(asked.revision) as there:
        found = {name: compare(name, ROOT, there, turns) for name in names}
    ratios = {f"{name}: {figure}": values for name in names for figure, values in found[name].items()}
    medians = {name: statistics.median(values) for name, values in ratios.items()}
    if asked.json:
        print(json.dumps({"ratios": medians, "figures": {"turns": ratios}}))
        return
    for name, values in ratios.items():
        print(f"{name:32} median {medians[name]:.3f}   from {min(values):.3f} to {max(values):.3f}, {turns} turns")


if __name__ == "__main__":
    main()
