"""Every picture of the documentation, from runs and from the code itself: ``make figures``, or one by its name.

    python docs/figures.py                          all of them; a demo that is not in runs/figures is trained first
    python docs/figures.py rooms                    one
    python docs/figures.py report --demo runs/demo  from a run of the preset demo that is there already

========= ============================ ============================================================================
name      file                         what it shows
========= ============================ ============================================================================
rooms     images/rooms.svg             the layers of import-linter's contract, and what each imports from outside
report    images/report.png            the upper part of ``genoevo mega report`` of a run of the preset demo
film      _static/drawer-close.gif     ``genoevo mega render`` of the same run
========= ============================ ============================================================================
"""

from __future__ import annotations

import argparse
import io
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

DOCS = Path(__file__).parent
PYPROJECT = DOCS.parent / "pyproject.toml"
ROOMS_SVG = DOCS / "images" / "rooms.svg"

DEMO = "genoevo mega train --preset demo --set evaluation.every=30000 --run-dir"
"""How the run is made, in eleven minutes: the demo with more evaluations."""

DRAWN = ("rooms", "report", "film")
TITLES = {
    "genoevo": "genoevo: the engine",
    "genoevo_runs": "adapters/genoevo_runs",
    "genoevo_mega": "adapters/genoevo_mega",
    "genoevo_cli": "cli/genoevo_cli",
}
CONTENTS = {
    "genoevo_cli": "commands, tables, progress, exit codes",
    "genoevo_mega": "suites, rollouts, replay, networks, the learner,\nruns, reports",
    "genoevo_runs": "run directories, files, settings, metrics,\nstatistics, pages",
    "genoevo": "genotypes, populations, layouts, decoding, operators,\nEvolution, Community, state",
}


def genoevo(command: str) -> None:
    """Run a command line of genoevo, and say so."""
    print("$", command, flush=True)
    subprocess.run([sys.executable, "-m", "genoevo_cli", *shlex.split(command)[1:]], check=True)


def rooms() -> dict[str, list[str]]:
    """The layers of import-linter's contract, highest first, and the packages that each imports from outside."""
    import grimp

    settings = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    graph = grimp.build_graph(*settings["root_packages"], include_external_packages=True, cache_dir=None)
    known = {*settings["root_packages"], *sys.stdlib_module_names}
    found = {}
    for layer in layers:
        modules = {layer, *graph.find_descendants(layer)}
        names = {
            one.partition(".")[0] for module in modules for one in graph.find_modules_directly_imported_by(module)
        }
        found[layer] = sorted(names - known)
    return found


def lines_of(packages: list[str]) -> list[str]:
    """Four of them in a line."""
    return [", ".join(packages[first : first + 4]) for first in range(0, len(packages), 4)]


def draw_rooms() -> None:
    """Three boxes, one above the other, each with what it holds and what it imports from outside."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    plt.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "rooms", "font.family": "sans-serif", "font.size": 11}
    )
    layers = rooms()
    figure, axes = plt.subplots(figsize=(9, 5.4))
    axes.set(xlim=(0, 9), ylim=(0, 5.4))
    axes.axis("off")
    axes.text(5.7, 5.3, "imported from outside", va="center", color="#666666", style="italic", fontsize=10)
    for place, (layer, packages) in enumerate(layers.items()):
        bottom = 3.9 - 1.85 * place
        box = plt.Rectangle((0.1, bottom), 5.3, 1.3, facecolor="#f4f1ea", edgecolor="#444444", linewidth=1.5)
        axes.add_patch(box)
        axes.text(0.3, bottom + 0.98, TITLES[layer], weight="bold", va="center", color="#222222")
        axes.text(0.3, bottom + 0.45, CONTENTS[layer], va="center", color="#222222", fontsize=10)
        axes.text(5.7, bottom + 0.65, "\n".join(lines_of(packages)), va="center", color="#666666", fontsize=10)
        if place:
            arrow = {"arrowstyle": "-|>", "color": "#b5541c", "linewidth": 2}
            axes.annotate("", (2.7, bottom + 1.3), (2.7, bottom + 1.85), arrowprops=arrow)
            axes.text(2.85, bottom + 1.57, "imports", va="center", color="#b5541c", fontsize=10)
    figure.savefig(ROOMS_SVG, metadata={"Date": None}, bbox_inches="tight", pad_inches=0.05)
    plt.close(figure)


def draw_report(demo: Path) -> None:
    """The upper part of a report, as Chromium shows it on a desktop."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place:
        page_file = Path(place) / "report.html"
        genoevo(f"genoevo mega report {demo} --out {page_file}")
        with sync_playwright() as driver:
            flags = ["--no-sandbox", "--disable-gpu"]
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
            page = browser.new_page(viewport={"width": 1100, "height": 1500}, color_scheme="light")
            page.goto(page_file.as_uri())
            page.wait_for_selector("main svg")
            picture = page.screenshot()
            browser.close()
    Image.open(io.BytesIO(picture)).quantize(64).save(DOCS / "images" / "report.png", optimize=True)


def draw_film(demo: Path) -> None:
    """The film of the README."""
    with tempfile.TemporaryDirectory() as place:
        film = Path(place) / "film.gif"
        genoevo(f"genoevo mega render {demo} --task drawer-close-v3 --episodes 2 --out {film}")
        shutil.move(film, DOCS / "_static" / "drawer-close.gif")


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", choices=[*DRAWN, []], help="all of them if left out")
    parser.add_argument(
        "--demo", type=Path, default=Path("runs/figures"), help="a run of the demo, trained if not there"
    )
    asked = parser.parse_args()
    chosen = asked.name or DRAWN
    if not asked.demo.exists() and {"report", "film"} & set(chosen):
        genoevo(f"{DEMO} {asked.demo}")
    if "rooms" in chosen:
        draw_rooms()
    if "report" in chosen:
        draw_report(asked.demo)
    if "film" in chosen:
        draw_film(asked.demo)


if __name__ == "__main__":
    main()
