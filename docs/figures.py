"""Draw the pictures of the documentation, from runs and from the code itself: ``make figures``, or one by its name.

    python docs/figures.py                          all pictures; trains the demo first if runs/figures does not exist
    python docs/figures.py rooms                    one picture
    python docs/figures.py report --demo runs/demo  from an existing run of the preset demo

========= ============================ ============================================================================
name      file                         what it shows
========= ============================ ============================================================================
rooms     images/rooms.svg             the rooms and floors of import-linter's contracts, and imports from outside
report    images/report.png            the upper part of ``genoevo mega report`` of a run of the preset demo
film      _static/drawer-close.gif     ``genoevo mega render`` of the same run
========= ============================ ============================================================================
"""

from __future__ import annotations

import argparse
import functools
import io
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PYPROJECT = DOCS.parent / "pyproject.toml"
ROOMS_SVG = DOCS / "images" / "rooms.svg"

DEMO = "genoevo mega train --preset demo --set evaluation.every=30000 --run-dir"
"""The command of the run, the demo with more evaluations; it takes at most eleven minutes."""

DRAWN = ("rooms", "report", "film")
FOLDERS = {"genoevo": "", "genoevo_cli": "cli/"}
"""The folder of a room; of all others it is adapters/."""
SUBJECTS = {
    "genoevo_cli": "commands and what they print",
    "genoevo_mega": "MEGA on Meta-World",
    "genoevo_sklearn": "estimators of scikit-learn",
    "genoevo_runs": "what all runs share",
    "genoevo": "the engine",
}
ROW = 0.36
"""The height of a floor in the picture, in inches."""


def genoevo(command: str) -> None:
    """Print and run a command line of genoevo."""
    print("$", command, flush=True)
    subprocess.run([sys.executable, "-m", "genoevo_cli", *shlex.split(command)[1:]], check=True)


def contracts() -> dict[str, Any]:
    """Return the settings of import-linter."""
    return tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]


@functools.cache
def imports() -> Any:
    """Return the graph of imports of all rooms, with the packages that they import from outside."""
    import grimp

    return grimp.build_graph(*contracts()["root_packages"], include_external_packages=True, cache_dir=None)


def layers() -> list[list[str]]:
    """Return the layers of import-linter's first contract, highest first; rooms of one do not import each other."""
    first = next(contract["layers"] for contract in contracts()["contracts"] if contract["type"] == "layers")
    return [layer.split(" | ") for layer in first]


def rooms() -> dict[str, list[str]]:
    """Return the rooms of import-linter's first contract, highest first, with what each imports from outside."""
    known = {*contracts()["root_packages"], *sys.stdlib_module_names}
    found = {}
    for room in (room for layer in layers() for room in layer):
        modules = {room, *imports().find_descendants(room)}
        names = {
            one.partition(".")[0] for module in modules for one in imports().find_modules_directly_imported_by(module)
        }
        found[room] = sorted(names - known)
    return found


def floors(room: str) -> list[list[str]]:
    """Return the packages and modules of a room, highest floor first.

    The floors are those of the room's contract. A room without one has its members, in alphabetical order, on as many
    floors as they need.
    """
    for contract in contracts()["contracts"]:
        if contract.get("containers") == [room]:
            return [layer.split(" | ") for layer in contract["layers"]]
    names = sorted(child.rpartition(".")[2] for child in imports().find_children(room))
    return [names[first : first + 5] for first in range(0, len(names), 5)]


def lines_of(packages: list[str]) -> list[str]:
    """Return names joined to lines of three."""
    return [", ".join(packages[first : first + 3]) for first in range(0, len(packages), 3)]


def draw_rooms() -> None:
    """Draw the rooms, one above the other, each with its floors and with what it imports from outside."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    plt.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "rooms", "font.family": "sans-serif", "font.size": 10}
    )
    outside = rooms()
    heights = {
        room: max(ROW * (len(floors(room)) + 1.4), 0.2 * len(lines_of(outside[room])) + 0.2) for room in outside
    }
    total = sum(heights.values()) + 0.45 * (len(heights) - 1) + 0.4
    figure, axes = plt.subplots(figsize=(10, total))
    axes.set(xlim=(0, 10), ylim=(0, total))
    axes.axis("off")
    axes.text(7.2, total - 0.15, "imported from outside", va="center", color="#666666", style="italic")
    top = total - 0.4
    for place, (room, packages) in enumerate(outside.items()):
        siblings = any({room, list(outside)[place - 1]} <= set(layer) for layer in layers())
        if siblings:
            axes.text(
                3.55, top - 0.22, "beside, without imports of each other", ha="center", va="center", color="#666666"
            )
        elif place:
            arrow = {"arrowstyle": "-|>", "color": "#b5541c", "linewidth": 2}
            axes.annotate("", (3.5, top - 0.45), (3.5, top), arrowprops=arrow)
            axes.text(3.65, top - 0.22, "imports", va="center", color="#b5541c")
        if place:
            top -= 0.45
        bottom = top - heights[room]
        axes.add_patch(plt.Rectangle((0.1, bottom), 6.9, heights[room], facecolor="#f4f1ea", edgecolor="#444444"))
        title = f"{FOLDERS.get(room, 'adapters/')}{room}: {SUBJECTS[room]}"
        axes.text(0.25, top - 0.24, title, weight="bold", va="center", color="#222222", fontsize=11)
        axes.text(7.2, (top + bottom) / 2, "\n".join(lines_of(packages)), va="center", color="#666666")
        for number, names in enumerate(floors(room)):
            low = top - 0.48 - ROW * (number + 1)
            width = 6.6 / len(names)
            for column, name in enumerate(names):
                corner = 0.25 + column * width, low + 0.04
                axes.add_patch(
                    plt.Rectangle(corner, width - 0.06, ROW - 0.07, facecolor="#ffffff", edgecolor="#999999")
                )
                middle = corner[0] + width / 2 - 0.03, low + ROW / 2
                axes.text(*middle, name, ha="center", va="center", color="#222222", fontsize=9)
        top = bottom
    figure.savefig(ROOMS_SVG, metadata={"Date": None}, bbox_inches="tight", pad_inches=0.05)
    plt.close(figure)


def draw_report(demo: Path) -> None:
    """Draw the upper part of a report, as Chromium shows it on a desktop."""
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
    """Render the video of the README."""
    with tempfile.TemporaryDirectory() as place:
        film = Path(place) / "film.gif"
        genoevo(f"genoevo mega render {demo} --task drawer-close-v3 --episodes 2 --out {film}")
        shutil.move(film, DOCS / "_static" / "drawer-close.gif")


def main() -> None:
    """Draw the chosen pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", choices=[*DRAWN, []], help="all if left out")
    parser.add_argument(
        "--demo",
        type=Path,
        default=Path("runs/figures"),
        help="a run of the demo; trained if it does not exist",
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
