"""Write the files of hashes that ``make demo``, ``make test`` and ``make docs`` install from: ``make pins``.

``constraints.txt`` lists the versions. uv finds what each package needs on any system, and its hashes in the
registry. Torch has a file of its own, with the CUDA packages that its Linux build on PyPI installs: a CPU build needs
none of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
PROJECT = ["pyproject.toml", "requirements/build.in", "--extra"]
SETS = {
    "engine": [*PROJECT, "graph", "--extra", "notebook", "requirements/engine.in"],
    "mega": [*PROJECT, "mega"],
    "dev": [*PROJECT, "dev"],
    "ray": [*PROJECT, "dev", "--extra", "ray"],
    "docs": [*PROJECT, "docs"],
    "audit": ["requirements/audit.in"],
}
PYTHON = {"docs": "3.11.5"}
"""The sets that need a later Python than 3.11: furo needs soupsieve, which requires it."""
TORCH = re.compile(r"torch==|nvidia-|cuda-|triton==")
CPU_VERSION = "2.13.0+cpu"
CPU_BUILDS = {"cp311-cp311-manylinux_2_28_x86_64": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"}
"""The SHA-256 of builds of PyTorch's CPU index, for Linux without an NVIDIA GPU; PyPI does not list these builds."""
HEAD = "# Written by make pins: every file that pip may install, by its hash.\n"


def compiled(sources: list[str], python: str) -> list[str]:
    """Return one entry, with hashes, for each package that *sources* require from this version of Python on."""
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-annotate", "--no-header"]
    command += ["--python-version", python, "--constraint", "constraints.txt"]
    done = subprocess.run([*command, *sources], cwd=ROOT, capture_output=True, text=True, check=True)
    return re.findall(r"^\S.*\n(?:    --hash.*\n)+", done.stdout, re.MULTILINE)


def write(name: str, entries: list[str]) -> None:
    """Write ``requirements/NAME.txt``."""
    (HERE / f"{name}.txt").write_text(HEAD + "".join(entries))
    print(f"requirements/{name}.txt: {len(entries)} packages, {''.join(entries).count('--hash')} hashes")


def main() -> int:
    """Compile every set; torch and CUDA, the same in all sets, go into a file of their own.

    The file of Ray adds to the file of the tests.
    """
    torch: list[str] = []
    dev: list[str] = []
    for name, sources in SETS.items():
        entries = compiled(sources, PYTHON.get(name, "3.11"))
        torch = [entry for entry in entries if TORCH.match(entry)] or torch
        elsewhere = [*torch, *dev] if name == "ray" else torch
        write(name, [entry for entry in entries if entry not in elsewhere])
        dev = entries if name == "dev" else dev
    write("torch", torch)
    hashes = " \\\n".join(f"    --hash=sha256:{found}" for found in CPU_BUILDS.values())
    write("torch-cpu", [f"torch=={CPU_VERSION} \\\n{hashes}\n"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
