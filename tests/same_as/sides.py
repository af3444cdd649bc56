"""The two sides of a comparison: this checkout, and a worktree of another revision with what is remembered of it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from tests.same_as.facts import VERSION

ROOT = Path(__file__).parents[2]
_LONGEST = 900  # seconds that one process may take
_IMPORTED = """
import sys
import genoevo, genoevo_cli.main, genoevo_mega
print(*(module.__file__ for name, module in sys.modules.items() if name.startswith("genoevo")), sep=chr(10))
"""
_COMMANDS = """
import json, sys
from genoevo_cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["genoevo", *arguments]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


class FailedError(Exception):
    """One line: what did not work."""


@dataclass(frozen=True)
class Side:
    """A tree of sources, run by this process's Python with its own packages in front of those installed."""

    tree: Path
    scratch: Path
    """Where its runs lie."""

    def command(self, *arguments: str | Path) -> tuple[list[str], dict[str, Any]]:
        """Command and keyword arguments for :mod:`subprocess`: Python with *arguments*."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GENOEVO_", "OMP_", "MKL_", "PYTHON"))
        }
        path = os.pathsep.join(str(self.tree / part) for part in ("", "adapters", "cli"))
        self.scratch.mkdir(parents=True, exist_ok=True)
        # -P: the working directory stays out of sys.path.
        command = [sys.executable, "-P", *map(str, arguments)]
        return command, {"cwd": self.scratch, "env": {**kept, "PYTHONPATH": path}, "text": True}

    def python(self, *arguments: str | Path, called: str = "") -> str:
        """What Python with *arguments* prints; FailedError where its exit code is not 0, with what it is *called*."""
        command, how = self.command(*arguments)
        called = called or " ".join(command[2:])
        try:
            done = subprocess.run(command, **how, capture_output=True, timeout=_LONGEST)
        except subprocess.TimeoutExpired:
            raise FailedError(f"{called} takes longer than {_LONGEST} s") from None
        if done.returncode:
            raise FailedError(f"{called}: exit code {done.returncode}: {last_line(done.stderr)}")
        return done.stdout

    def genoevo(self, *commands: list[str | Path]) -> str:
        """What these command lines of ``genoevo`` print, run in one process, as loading torch takes long."""
        called = ", ".join(" ".join(["genoevo", *map(str, command)]) for command in commands)
        return self.python("-c", _COMMANDS, json.dumps(commands, default=str), called=called)

    def check(self) -> None:
        """Raise FailedError unless all modules that it imports are those of its own tree."""
        for place in self.python("-c", _IMPORTED).split():
            if not Path(place).is_relative_to(self.tree):
                raise FailedError(f"{self.tree} would run {place}")

    def known_settings(self) -> list[str]:
        """The dotted names of all its settings, from the config that its smallest run writes."""
        directory = fresh(self.scratch / "settings")
        self.genoevo(
            ["mega", "train", "--preset", "smoke", "--suite", "point", "--steps", "1", "--run-dir", directory]
        )
        return _dotted(yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8")))


def _dotted(tree: dict[str, Any], prefix: str = "") -> list[str]:
    names = []
    for key, value in tree.items():
        names += _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return names


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing on stderr"


def fresh(directory: Path) -> Path:
    """*directory*, which is not there, in one that is."""
    if directory.exists():
        shutil.rmtree(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    return directory


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """One at a time: several checkouts may share what they remember of a revision."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def commit_of(revision: str) -> str:
    """The full name of a commit; FailedError where there is none."""
    try:
        return _git(ROOT, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except FailedError:
        raise FailedError(f"REV = {revision!r}: this repository has no such commit") from None


def worktree(commit: str, place: Path) -> Path:
    """A checkout of *commit* as it was committed, in *place*; made where it is not there or was changed."""
    tree = place / commit[:12]
    if (tree / ".git").exists():
        same = _git(tree, "rev-parse", "HEAD") == commit
        if same and not _git(tree, "status", "--porcelain", "--untracked-files=no"):
            return tree
    if tree.exists():
        shutil.rmtree(tree)
    _git(ROOT, "worktree", "prune")
    _git(ROOT, "worktree", "add", "--detach", "--force", str(tree), commit)
    return tree


def _git(where: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(where), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise FailedError(f"git {arguments[0]}: {last_line(done.stderr)}")
    return done.stdout.strip()


def machine() -> dict[str, Any]:
    """What results may depend on beside the sources: the processor and the packages that compute."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        named = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
        cpu = "|".join(sorted(set(named)))
    packages = {
        name: version(name) for name in ("numpy", "torch", "scipy", "deap", "gymnasium", "metaworld", "mujoco")
    }
    return {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version(), "packages": packages}


class Memory:
    """What is remembered of a revision, as JSON files: facts by commit, machine and definition."""

    def __init__(self, place: Path, commit: str) -> None:
        self._place, self._common = place, {"commit": commit, **machine()}

    def path(self, name: str, definition: Any) -> Path:
        """Where the result of what is so called and so defined lies."""
        key = json.dumps([self._common, VERSION, definition], sort_keys=True)
        return self._place / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"

    @staticmethod
    def read(path: Path) -> Any:
        """What is there, or None."""
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    @staticmethod
    def write(path: Path, content: Any) -> None:
        """Keep *content*; a reader sees all of it or nothing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{os.getpid()}")
        half.write_text(json.dumps(content), encoding="utf-8")
        half.replace(path)
