"""Whether this checkout trains and searches as another revision does, bit for bit: ``python -m tests.same_as REV``.

Every run of the list (:mod:`tests.same_as.runs`) is made by both, each in processes of its own, with the same Python
on the same machine, and compared value by value: weights, optimiser state, populations, generators, metrics. What REV
came to is kept in ``.same-as/``. Exit code 0 where all are equal.
"""

from __future__ import annotations

import argparse
import fnmatch
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tests.same_as import execute
from tests.same_as.compare import differences
from tests.same_as.facts import Facts
from tests.same_as.runs import ADDED, NAMES, SEARCHES, SETTINGS, TRAININGS, Search, Training, translated
from tests.same_as.sides import ROOT, FailedError, Memory, Side, commit_of, fresh, locked, worktree

_SHOWN = 3  # differences that are printed of each part of a run

Run = Training | Search


@dataclass
class Outcome:
    """What became of one comparison: nothing in ``problems`` where both are equal."""

    run: Run
    problems: list[str]
    seconds: float
    seconds_there: float
    """0 where it was remembered."""


@dataclass
class Comparison:
    """This checkout against another revision."""

    here: Side
    there: Side
    memory: Memory
    known_there: list[str]

    @classmethod
    def with_revision(cls, revision: str, place: Path) -> Comparison:
        """Against *revision*, with *place* for its worktree and results; FailedError where it cannot run."""
        commit = commit_of(revision)
        here = Side(ROOT, ROOT / ".same-as" / "here")
        with locked(place / "worktree.lock"):
            there = Side(worktree(commit, place), place / "results" / commit[:12])
        memory = Memory(there.scratch, commit)
        here.check()
        with locked(there.scratch / "settings.lock"):
            path = memory.path("settings", None)
            if (known := memory.read(path)) is None:
                there.check()
                known = there.known_settings()
                memory.write(path, known)
        return cls(here, there, memory, known)

    def compare(self, run: Run) -> Outcome:
        """Make *run* on both sides; at most one process of it runs at a time."""
        began = time.monotonic()
        seconds_there = 0.0
        try:
            there, given = self._there(run)
            seconds_there, began = time.monotonic() - began, time.monotonic()
            here = self._here(run, given)
            problems = differences(here, there, NAMES, ADDED)
            if isinstance(run, Training):
                problems += [f"proves nothing: not {what}" for what in run.unproved(here)]
        except (FailedError, OSError, ValueError, KeyError) as error:
            problems = [f"fails: {error}"]
        list_of = self.here.scratch / f"{run.name}.differences"
        list_of.parent.mkdir(parents=True, exist_ok=True)
        list_of.write_text("".join(f"{problem}\n" for problem in problems), encoding="utf-8")
        return Outcome(run, problems, time.monotonic() - began, seconds_there)

    def _there(self, run: Run) -> tuple[Facts, Path | None]:
        """The other revision's facts, remembered or made, and what it began for this checkout to go on from."""
        with locked(self.there.scratch / f"{run.name}.lock"):
            if isinstance(run, Search):
                return self._search_there(run)
            settings = translated(run.settings, self.known_there, SETTINGS)
            path = self.memory.path(run.name, [run.how, settings])
            begun = path.with_suffix(".begun") if run.how == "begun" else None
            facts: Facts | None = self.memory.read(path)
            if facts is None or (begun is not None and not begun.exists()):
                if begun is not None:
                    execute.begin(self.there, run, settings, fresh(begun))
                facts = execute.train(self.there, run, settings, begun)
                self.memory.write(path, facts)
            return facts, begun

    def _search_there(self, run: Search) -> tuple[Facts, Path]:
        path = self.memory.path(run.name, execute.WORKER.read_text(encoding="utf-8"))
        half = path.with_suffix(".npz")
        facts: Facts | None = self.memory.read(path)
        if facts is None or not half.exists():
            facts = execute.search(self.there, run, None)
            shutil.copy(execute.half_of(self.there, run), half)
            self.memory.write(path, facts)
        return facts, half

    def _here(self, run: Run, given: Path | None) -> Facts:
        with locked(self.here.scratch / f"{run.name}.lock"):
            if isinstance(run, Search):
                return execute.search(self.here, run, given)
            return execute.train(self.here, run, run.settings, given)


def _line(outcome: Outcome) -> str:
    there = f" (and {outcome.seconds_there:.1f} s there)" if outcome.seconds_there > 0.1 else ""
    said = "DIFFERS" if outcome.problems else "equal"
    lines = [f"{outcome.run.name:<28} {said:<8} {outcome.seconds:6.1f} s{there}"]
    of_parts: dict[str, list[str]] = {}
    for problem in outcome.problems:
        of_parts.setdefault(problem.partition(": ")[0].partition("/")[0], []).append(problem)
    # Metrics first: their first line that differs tells when it began.
    for part, problems in sorted(of_parts.items(), key=lambda item: item[0] != "metrics"):
        lines += [f"    {problem}" for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            lines.append(f"    and {len(problems) - _SHOWN} more of {part}")
    return "\n".join(lines)


def _chosen(patterns: list[str], quick: bool) -> list[Run]:
    runs: list[Run] = [*TRAININGS, *SEARCHES]
    if patterns:
        runs = [run for run in runs if any(fnmatch.fnmatch(run.name, pattern) for pattern in patterns)]
    return [run for run in runs if run.quick or not quick]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.same_as", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("revision", metavar="REV", help="the commit to compare with")
    parser.add_argument(
        "--only", action="append", default=[], metavar="PATTERN", help="runs of such names, e.g. 'mega-*'"
    )
    parser.add_argument("--quick", action="store_true", help="a third of the runs")
    parser.add_argument("--list", action="store_true", help="print the names of the runs alone")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time  [default: 2]")
    parser.add_argument(
        "--keep", type=Path, default=ROOT / ".same-as", help="for what REV comes to  [default: .same-as]"
    )
    arguments = parser.parse_args()
    runs = _chosen(arguments.only, arguments.quick)
    if not runs:
        parser.error(f"no run has such a name: {', '.join(arguments.only)}")
    if arguments.list:
        print(*(run.name for run in runs), sep="\n")
        return 0
    began = time.monotonic()
    try:
        comparison = Comparison.with_revision(arguments.revision, arguments.keep.resolve())
    except FailedError as error:
        print(error, file=sys.stderr)
        return 1
    differing = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for future in as_completed([pool.submit(comparison.compare, run) for run in runs]):
            outcome = future.result()
            print(_line(outcome), flush=True)
            differing += [outcome.run.name] if outcome.problems else []
    print(f"{len(runs) - len(differing)} of {len(runs)} runs are equal, in {time.monotonic() - began:.0f} s")
    if differing:
        print(f"not equal: {', '.join(differing)}; lists of all differences and this checkout's runs are in")
        print(f"{comparison.here.scratch},")
        print(f"those of {arguments.revision} in {comparison.there.scratch}")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
