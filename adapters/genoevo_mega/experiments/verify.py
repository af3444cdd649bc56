"""The verification of every file of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from genoevo_mega.config.changes import fixed
from genoevo_mega.config.code import check_allowed
from genoevo_mega.config.run import Config
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.history import edits
from genoevo_mega.training import checkpoint, migrate
from genoevo_mega.training.checkpoint_files import CHECKPOINT, STATE
from genoevo_runs import manifest, metrics, rundir
from genoevo_runs.errors import CorruptFileError, UserError


class _Report:
    """The checked files and the problems found."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.damaged: list[dict[str, str]] = []
        self.checked: set[Path] = set()

    def tell(self, path: Path, problem: str) -> None:
        place = str(path.relative_to(self.directory)) if path.is_relative_to(self.directory) else str(path)
        self._add([{"place": place, "problem": problem}])

    def add(self, other: _Report) -> None:
        """Add the content of another report."""
        self._add(other.damaged)
        self.checked |= other.checked

    def _add(self, damaged: list[dict[str, str]]) -> None:
        self.damaged += [entry for entry in damaged if entry not in self.damaged]

    def run(self, path: Path, check: Callable[[], Any]) -> Any:
        """Return the result of the *check* of *path*, None if it finds a problem."""
        self.checked.add(path)
        try:
            return check()
        except CorruptFileError as error:
            self.tell(error.path, error.problem)
        except UserError as error:
            self.tell(path, str(error))
        return None


def verify(directory: Path) -> dict[str, Any]:
    """Check ``config.yaml``, ``run.json``, ``metrics.jsonl`` and all files of all checkpoints.

    The result has ``sound``, the numbers of checked ``checkpoints`` and ``files``, and ``damaged``, a list of
    ``place``, relative to *directory*, and ``problem``. A checkpoint that training removes meanwhile does not count.
    UserError if *directory* is not a run directory, or names code that was not allowed.
    """
    rundir.check_run(directory)
    report = _Report(directory)
    config = None
    if report.run(directory / rundir.ORIGIN, lambda: runs.read_origin(directory)):
        config = report.run(directory / rundir.CONFIG, lambda: runs.open_config(directory, runs_code=False))
    if config is not None:
        edited = fixed(edits(directory, runs.read_origin(directory), config))
        for name, (old, new) in edited.items():
            report.tell(directory / rundir.CONFIG, f"{name} = {new!r}: it was {old!r} when the run began")
        config = None if edited else config  # a checkpoint that does not fit is not corrupt then
    if config is not None:
        check_allowed(config.code, directory)  # a missing permission is no fault of the run
    paths = report.run(directory / manifest.CHECKPOINTS, lambda: checkpoint.candidates(directory)) or []
    report.checked.discard(directory / manifest.CHECKPOINTS)
    found = [(path, _checkpoint(directory, path, config)) for path in paths]
    # Training renames a checkpoint before it removes its files.
    found = [(path, of_path) for path, of_path in found if path.exists()]
    for _, of_path in found:
        report.add(of_path)
    if (directory / metrics.METRICS).exists():
        report.run(directory / metrics.METRICS, lambda: metrics.read(directory / metrics.METRICS))
    return {
        "sound": not report.damaged,
        "checkpoints": len(found),
        "files": len(report.checked),
        "damaged": report.damaged,
    }


def _checkpoint(directory: Path, path: Path, config: Config | None) -> _Report:
    report = _Report(directory)
    if migrate.is_version_2(path):
        report.checked.update(file for file in path.rglob("*") if file.is_file())
    else:
        report.checked.add(path / manifest.MANIFEST)
        content = report.run(path / manifest.MANIFEST, lambda: manifest.read(path, CHECKPOINT))
        if content is None:
            return report
        report.checked.update(path / entry.name for entry in content.files)
        if not manifest.left_out(path):
            report.checked.update(directory / manifest.REPLAY / entry.name for entry in content.replay)
        problems = list(manifest.problems(directory, path, content))
        for problem in problems:
            report.tell(problem.path, problem.problem)
        if problems:
            return report
    report.checked.add(path / STATE)
    state = report.run(path / STATE, lambda: checkpoint.read_state(path))
    if state is not None:
        mark = state["metrics_offset"], state["metrics_sha256"]
        report.run(directory / metrics.METRICS, lambda: metrics.check_prefix(directory, *mark))
    if config is not None:
        report.run(path, lambda: _fill(directory, path, config))
    return report


def _fill(directory: Path, path: Path, config: Config) -> None:
    # Checksums show that a file is as it was written. Loading shows that it can be loaded.
    trainer = runs.Trainer(config, directory)
    checkpoint.load_one(trainer.state, directory, path, config, trainer.suite)
