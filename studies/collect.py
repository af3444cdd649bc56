"""Collect the results of a sweep for studies/results: raw metrics, comparison and picture.

``metrics.jsonl.gz`` holds the lines of every run's metrics.jsonl, each with method and seed. ``configs.json`` holds
every method's settings without the seed. ``comparison.json`` and ``comparison.png`` are the output of
``genoevo mega compare``.

    python studies/collect.py sweeps/first_look studies/results/first_look --against mega
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genoevo_mega.experiments import runs
from genoevo_mega.experiments.compare import as_json, compare
from genoevo_mega.experiments.plot import draw
from genoevo_mega.experiments.results import RunResult, collect
from genoevo_runs.metrics import METRICS, read


def lines(results: list[RunResult]) -> Iterator[dict[str, Any]]:
    """Yield every record of every run, with the method and the seed of the run."""
    for result in results:
        for record in read(result.directory / METRICS):
            yield {"method": result.method, "seed": result.seed, **record}


def main() -> None:
    """Write the files described above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--against")
    options = parser.parse_args()
    results = collect([options.sweep], print)
    options.results.mkdir(parents=True, exist_ok=True)
    # Without a time in the archive's header, equal runs give equal files.
    with gzip.GzipFile(options.results / "metrics.jsonl.gz", "wb", mtime=0) as file:
        for record in lines(results):
            file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
    configs = {one.method: runs.open_config(one.directory).model_dump(exclude={"seed"}) for one in results}
    (options.results / "configs.json").write_text(json.dumps(configs, indent=1) + "\n")
    comparison = compare(results, options.against)
    (options.results / "comparison.json").write_text(json.dumps(as_json(comparison), indent=1) + "\n")
    draw(comparison, options.results / "comparison.png")


if __name__ == "__main__":
    main()
