"""A long run watched from outside: memory that grows, and what a run leaves behind however it ends.

    python tests/mega/soak.py [--minutes 60] [--json]

Trains MT10 at the demo's sizes as the command line does. Every ten seconds the resident memory and open files of the
process and its workers are read from /proc; the slope of memory over environment steps is fitted to what follows the
first fifth. Three short runs then end by themselves, by Ctrl-C and by SIGKILL of the parent: no process, no
shared-memory segment and no file outside the run directory may be left. Exit code 1 where something is.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PAGE = os.sysconf("SC_PAGE_SIZE")
WARM_UP, EVERY = 0.2, 10.0
LIMIT = 1.0  # MB per 10,000 environment steps


def command(directory: Path, minutes: float, *more: str) -> list[str]:
    """``genoevo mega train`` of MT10 at the demo's sizes."""
    train = [sys.executable, "-m", "genoevo_cli", "mega", "train", "--suite", "mt10", "--preset", "demo"]
    settings = ["--steps", "100000000", "--minutes", str(minutes), "--set", "checkpoints.every=50000"]
    return [*train, *settings, *more, "--run-dir", str(directory)]


def family(parent: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                above = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended meanwhile
            children.setdefault(above, []).append(int(entry.name))
    found = [parent]
    for process in found:
        found += children.get(process, [])
    return found


def resident(process: int) -> int:
    """Bytes; 0 of a process that is gone."""
    try:
        return PAGE * int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0


def open_files(process: int) -> int:
    """File descriptors; 0 of a process that is gone."""
    try:
        return len(os.listdir(f"/proc/{process}/fd"))
    except OSError:
        return 0


def steps_of(directory: Path) -> int:
    """Environment steps at the last round."""
    path = directory / "time.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return int(json.loads(lines[-1])["step"]) if lines else 0


def watch(minutes: float) -> dict[str, float]:
    """One long run: memory by steps."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        process = subprocess.Popen(command(directory, minutes), stderr=subprocess.DEVNULL)
        readings: list[tuple[float, int, int, int, int]] = []
        began = time.monotonic()
        while process.poll() is None:
            time.sleep(EVERY)
            members = family(process.pid)
            memory, files = (sum(map(read, members)) for read in (resident, open_files))
            readings.append((time.monotonic() - began, steps_of(directory), memory, files, len(members)))
            seconds, steps, memory, files, _ = readings[-1]
            print(f"{seconds:6.0f} s  {steps:9,} steps  {memory / 1e6:8.1f} MB  {files} files", file=sys.stderr)
        assert process.returncode == 0, f"the run ended with {process.returncode}"
    # At its end the run is without its workers.
    whole = max(members for *_, members in readings)
    table = np.array([r for r in readings if r[0] > WARM_UP * 60 * minutes and r[4] == whole], float)
    slope = np.polyfit(table[:, 1] / 10_000, table[:, 2] / 1e6, 1)[0]
    return {
        "minutes": minutes,
        "steps": table[-1, 1],
        "MB after warm-up": table[0, 2] / 1e6,
        "MB at the end": table[-1, 2] / 1e6,
        "MB per 10,000 steps": float(slope),
        "files after warm-up": table[0, 3],
        "files at the end": table[-1, 3],
    }


def leftovers(ending: str) -> list[str]:
    """What a short run leaves behind that *ending* ends: 'itself', 'Ctrl-C' or 'SIGKILL'."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "tmp"
        own.mkdir()
        shared = set(os.listdir("/dev/shm"))
        directory = Path(folder) / "run"
        quick = ["--set", "evaluation.at_end=false", "--set", "sac.random_steps=20"]
        asked = command(directory, 0.5 if ending == "itself" else 10, *quick)
        process = subprocess.Popen(asked, stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(own)})
        while steps_of(directory) == 0 and process.poll() is None:
            time.sleep(0.2)
        members = family(process.pid)
        if ending != "itself":
            process.send_signal(signal.SIGINT if ending == "Ctrl-C" else signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 10
        while (alive := [member for member in members if resident(member)]) and time.monotonic() < deadline:
            time.sleep(0.1)
        left = [f"process {member}" for member in alive]
        left += [f"/dev/shm/{name}" for name in set(os.listdir("/dev/shm")) - shared]
        # torch makes the folder of its compiler's cache, one for all processes of a user, when it is imported.
        return left + [str(path) for path in own.iterdir() if not path.name.startswith("torchinductor_")]


def main() -> int:
    """Print what was seen; 1 where memory grows or something is left behind."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    left = {ending: leftovers(ending) for ending in ("itself", "Ctrl-C", "SIGKILL")}
    print(f"left behind: {left}", file=sys.stderr)
    seen = {**watch(arguments.minutes), "left behind": left}
    if arguments.json:
        print(json.dumps(seen))
    else:
        for name, value in seen.items():
            print(f"{name:24}{value}")
    return int(seen["MB per 10,000 steps"] >= LIMIT or any(left.values()))


if __name__ == "__main__":
    sys.exit(main())
