"""List the licences of all installed packages that an extra of this project requires: ``make licences``.

The licence comes from the package's own metadata: the licence expression, else the classifier, else the licence
field.
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "licences.rst"
EXTRAS = ("cli", "mega", "plot", "graph", "examples", "export", "video", "sklearn", "dev")

PERMISSIVE = {
    *(
        "0BSD",
        "Apache-2.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "HPND",
        "ISC",
        "MIT",
        "MIT-0",
    ),
    *("Apache-2.0 WITH LLVM-exception", "MIT-CMU", "PSF-2.0", "Unlicense", "Zlib"),
}
WEAK = {"LGPL", "LGPL-2.1-or-later", "LGPL-3.0-or-later", "MPL-2.0"}
"""The licences with copyleft for changes to the package itself. These packages are installed and used unchanged."""

CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
FIELDS = {"Apache 2.0": "Apache-2.0", "3-Clause BSD License": "BSD-3-Clause", "MIT License": "MIT"}
HEAD = """Licences
========

genoevo is under the MIT licence. ``make licences`` generates this page. It lists every package that
an extra installs, directly or not, with the licence that the package states. All licences are
permissive except those marked \\*. Those (LGPL, MPL) require that changes to the package itself are
passed on. genoevo contains no code of any of these packages, so it can be under MIT.

PyPI's build of torch for Linux also installs NVIDIA's CUDA packages, which are under NVIDIA's own
licence. The CPU build installs none of them.

"""


def licence(distribution: metadata.Distribution) -> str:
    """Return the licence that a package states, as an SPDX expression if it is known."""
    about = distribution.metadata
    if about["License-Expression"]:
        return str(about["License-Expression"])
    classifiers = [line.split(" :: ")[-1] for line in about.get_all("Classifier") or [] if line.startswith("License")]
    known = [CLASSIFIERS[name] for name in classifiers if name in CLASSIFIERS]
    if known:
        return " AND ".join(sorted(set(known)))
    field = (about["License"] or "").partition("\n")[0].strip()
    return FIELDS.get(field, field)


def parts(expression: str) -> list[str]:
    """Return the licences in an expression."""
    return [part.strip(" ()") for part in re.split(r"\b(?:AND|OR)\b", expression)]


def allowed(expression: str) -> bool:
    """Return whether the project may depend on a package of this licence; one of several alternatives is enough."""
    known = PERMISSIVE | WEAK
    if " OR " in expression and " AND " not in expression:
        return any(part in known for part in parts(expression))
    return all(part in known for part in parts(expression))


def dependencies() -> dict[str, str]:
    """Return the licence of each installed package that an extra requires, by name."""
    found: dict[str, str] = {}
    waiting = [("genoevo", frozenset(EXTRAS))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another system, or from an extra that is not installed
        found[canonicalize_name(name)] = licence(distribution)
        for text in distribution.requires or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    del found["genoevo"]
    return dict(sorted(found.items()))


def page() -> str:
    """Return the page as reStructuredText."""
    rows = []
    for name, expression in dependencies().items():
        mark = r" \*" if any(part in WEAK for part in parts(expression)) else ""
        rows.append(f"   * - {name}\n     - {expression}{mark}\n")
    return HEAD + ".. list-table::\n   :header-rows: 1\n\n   * - package\n     - licence\n" + "".join(rows)


def main() -> int:
    """Print or write the page; return 1 if a licence is not allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        PAGE.write_text(page())
    else:
        print(page())
    refused = {name: expression for name, expression in dependencies().items() if not allowed(expression)}
    for name, expression in refused.items():
        print(f"{name}: {expression!r} is not an allowed licence", file=sys.stderr)
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())
