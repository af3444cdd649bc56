"""The machine that a run trains on, as facts that a later resume is compared with."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

Fact = str | int | None
Facts = dict[str, Fact]
"""What is known of a machine, by name; None for what it does not tell."""

_CPUINFO = Path("/proc/cpuinfo")


def facts(directory: Path, packages: Sequence[str]) -> Facts:
    """Return host, path of the run, processor, C library, cores, and versions of Python and *packages*."""
    return {
        "host": socket.gethostname(),
        "directory": str(directory.absolute()),
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": processor(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "cores": cores(),
        "python": platform.python_version(),
        **{name: installed(name) for name in packages},
    }


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str | None:
    """Return the model of the processor; None if the system does not tell."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or None
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, None) or platform.processor() or None


def arithmetic() -> str:
    """Return what decides how compiled code rounds: the processor, its vector instructions, and the C library.

    The instructions are the newest ones that NumPy finds: a virtual machine may hide some of its processor's.
    """
    vectors = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])  # type: ignore[union-attr]
    parts = processor(), *vectors[-1:], platform.machine(), " ".join(platform.libc_ver()).strip()
    return ", ".join(part for part in parts if part)


def other_version(theirs: Mapping[str, str | None]) -> str | None:
    """Return a line if this machine has another version of a package than *theirs*, a machine's versions by name.

    It names this machine, the first such package and both versions: ``second has numpy 2.0.1 instead of 2.4.6:
    install the same version``.
    """
    for name, there in theirs.items():
        if (here := installed(name)) != there:
            found = f"{name} {here or '(not installed)'} instead of {there or '(not installed)'}"
            return f"{socket.gethostname()} has {found}: install the same version"
    return None


def installed(package: str) -> str | None:
    """Return the installed version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
