"""Pages in a real Chromium: every page that a test opens is watched for errors and for what it asks the network."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genoevo_mega.envs.synthetic import SUITES

AXE = Path(__file__).parents[2] / ".browser" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 800}}
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium") or shutil.which("google-chrome")
    assert executable, "there is no Chromium: apt-get install chromium"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """A function that opens an address in a page of that size and scheme.

    The test fails where such a page writes to its console, throws, shows a dialog, or asks for any other address.
    """
    contexts, faults = [], []

    def opened(address, *, size="desktop", scheme="light", also=(), ready="main svg"):
        # The policy of the page would keep axe out.
        context = chromium.new_context(
            viewport=SIZES[size], color_scheme=scheme, reduced_motion="reduce", bypass_csp=True, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        allowed = (address, *also, "blob:", "data:")
        page.on(
            "request", lambda request: request.url.startswith(allowed) or faults.append(f"asks for {request.url}")
        )
        page.goto(address)
        page.wait_for_selector(ready)
        page.wait_for_function("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return page

    opened.faults = faults
    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="session")
def violations():
    """A function that lists what axe-core finds against WCAG AA in a page."""
    assert AXE.exists(), f"there is no {AXE}: make test-browser fetches it"
    script = AXE.read_text(encoding="utf-8")

    def found(page):
        page.evaluate(script)
        result = page.evaluate("tags => axe.run({ runOnly: tags })", WCAG)
        return [
            f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
            for violation in result["violations"]
            for node in violation["nodes"]
        ]

    return found


@pytest.fixture(scope="session")
def screenshot():
    """A function that keeps a picture of a whole page in .browser/screenshots."""
    folder = AXE.parent / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)

    def taken(page, name):
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return taken


_TRAIN = [
    *("mega", "train", "--preset", "smoke", "--workers", "1", "--threads", "1"),
    *("--set", "environment.episode_length=10", "--set", "sac.random_steps=10"),
    *("--set", "growth.patience=2", "--set", "growth.mastery=1.0", "--set", "sac.updates_per_step=0.1"),
]


def _genoevo(*arguments, cwd=None):
    return subprocess.Popen(
        [sys.executable, "-m", "genoevo_cli", *map(str, arguments)], stderr=subprocess.PIPE, text=True, cwd=cwd
    )


_OBJECTIVES = """
class Three:
    size = 12
    fitness_weights = (1.0, -1.0, 1.0)

    def __call__(self, genotype):
        return sum(genotype), genotype[0] + 2 * sum(genotype[3:]), 12 - sum(genotype[6:])
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Two real runs, of seeds 1 and 2."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [folder / "first", folder / "second"]
    started = [
        _genoevo(*_TRAIN, "--steps", 800, "--set", "evaluation.every=400", "--seed", seed, "--run-dir", run)
        for seed, run in enumerate(runs, 1)
    ]
    for process in started:
        _, error = process.communicate(timeout=500)
        assert process.returncode == 0, error
    return runs


@pytest.fixture(scope="session")
def trained_on_50(tmp_path_factory):
    """A real run of fifty tasks, of the kind that costs little to simulate."""
    run = tmp_path_factory.mktemp("runs") / "fifty"
    suite = ",".join(SUITES["synthetic-200"][:50])
    process = _genoevo(*_TRAIN, "--suite", suite, "--steps", 10_000, "--run-dir", run)
    _, error = process.communicate(timeout=500)
    assert process.returncode == 0, error
    return run


@pytest.fixture(scope="session")
def trained_with_frontiers(tmp_path_factory):
    """A real run whose tasks have frontiers."""
    run = tmp_path_factory.mktemp("runs") / "frontiers"
    settings = ["selection.rule=record", "decoding.kind=sparse", "frontier.size=3", "frontier.trial_rounds=1"]
    settings += ["candidates.children=4", "genotypes.update_with=sample"]
    given = [word for setting in settings for word in ("--set", setting)]
    process = _genoevo(*_TRAIN, "--suite", "point,reacher-2goals", *given, "--steps", 1_200, "--run-dir", run)
    _, error = process.communicate(timeout=500)
    assert process.returncode == 0, error
    return run


@pytest.fixture(scope="session")
def pages(trained, trained_on_50, trained_with_frontiers, tmp_path_factory):
    """Addresses of reports, a comparison, and the engine's pages with lengths that vary and that do not."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "objectives.py").write_text(_OBJECTIVES)
    commands = {
        "report": ("mega", "report", trained[0], "--out"),
        "frontier": ("mega", "report", trained_with_frontiers, "--out"),
        "fifty": ("mega", "report", trained_on_50, "--out"),
        "comparison": ("mega", "report", *trained, "--out"),
        "evolution": ("evolve", "--problem", "segment-trap", "--report"),
        "front": ("evolve", "--problem", "objectives:Three", "--generations", 30, "--report"),
        "onemax": ("evolve", "--problem", "onemax", "--size", 60, "--report"),
    }
    for name, command in commands.items():
        process = _genoevo(*command, folder / f"{name}.html", cwd=folder)
        _, error = process.communicate(timeout=500)
        assert process.returncode == 0, error
    return {name: (folder / f"{name}.html").as_uri() for name in commands}


@pytest.fixture
def training(tmp_path):
    """A run directory and the process that trains in it; it is ended with the test."""
    directory = tmp_path / "training"
    process = _genoevo(*_TRAIN, "--steps", 1_000_000, "--run-dir", directory)
    deadline = time.monotonic() + 300
    while not (directory / "run.json").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield directory, process
    process.terminate()
    try:
        process.communicate(timeout=60)
    finally:
        process.kill()
