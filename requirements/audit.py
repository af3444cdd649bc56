"""Report the known vulnerabilities of every pinned package, by pip-audit, and the packages that it could not look up.

This is only a report: it exits with 0 whatever it finds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("dev", "docs", "torch")


def main() -> int:
    """Print the report."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json"]
    files = [text for name in NAMES for text in ("-r", str(HERE / f"{name}.txt"))]
    try:
        done = subprocess.run([*command, *files], capture_output=True, text=True, timeout=600)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        print(f"nothing was audited: pip-audit returned no report ({error!r})")
        return 0
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [package for package in packages if package.get("vulns")]
    for package in found:
        for advisory in package["vulns"]:
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {advisory['id']}, fixed in {fixed}")
    print(
        f"{len(packages) - len(skipped)} of {len(packages)} packages audited, {len(found)} with known vulnerabilities"
    )
    if skipped:
        print(f"could not be looked up, so not audited: {', '.join(skipped)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
