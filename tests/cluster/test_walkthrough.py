"""The page "From a laptop to a cluster", typed from top to bottom on a laptop and three simulated machines."""

import re
import shutil
from contextlib import suppress

import pytest

from tests.cluster.cluster import wait_until
from tests.cluster.machines import machines, run
from tests.console import Smaller, typed, words_of
from tests.pages import ROOT

PAGE = ROOT / "docs/how_to/runs/move.rst"
LOCALLY = """
start = Population.random(60, 40, np.random.default_rng(1))
here = Evolution(fitness, start, seed=1)
here.run(20)
assert (search().population.words == here.population.words).all()
print("the same search")
"""
"""What is typed below the page's search."""


def block(text, head):
    """The content of the block that begins with *head*, without its indent."""
    found = re.search(rf"{re.escape(head)}\n\n((?:   .*\n|\n)+)", text)
    return re.sub(r"^   ", "", found[1], flags=re.MULTILINE)


def nodes_seen(machine, folder):
    with suppress(AssertionError):  # the head may not answer yet
        return len(re.findall("node_[0-9a-f]+", machine.run(["ray", "status"], folder)))
    return 0


@pytest.fixture
def page():
    return PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_command_of_the_page_runs(page, tmp_path):
    laptop, shared = tmp_path / "laptop", tmp_path / "shared"
    laptop.mkdir()
    shared.mkdir()
    sweep = block(page, "   :caption: stages.yaml").replace("seeds: 5", "seeds: 1").replace("60000", "400")
    (shared / "stages.yaml").write_text(sweep)
    (shared / "search.py").write_text(block(page, ".. code-block:: python") + LOCALLY)
    smaller, said = Smaller(), []
    with machines("first", "second", "third", folder=tmp_path) as (first, *others):
        token = first.home / ".ray" / "auth_token"
        for command in typed(page):
            words = command.replace("<first machine>", first.address).split()
            match words:
                case ["export", setting]:
                    for machine in (first, *others):
                        machine.exported.append(setting)
                case ["ray", "start", "--head", *_]:
                    said.append(first.run([*words, "--include-dashboard=false"], shared))
                case ["ray", "start", *_]:
                    for machine in others:
                        shutil.copytree(token.parent, machine.home / ".ray")
                        machine.run(words, shared)
                case ["ray", "status"]:
                    wait_until(lambda: nodes_seen(first, shared) == 3, 300)
                case ["ray", "stop"]:
                    assert "the same search\n" in first.run(["python", "search.py"], shared)
                    for machine in (first, *others):
                        machine.run(words, shared)  # a process that takes longer to end ends with its machine
                case ["ray", *_]:
                    first.run(words, shared)
                    assert token.exists()
                case ["scp", source, target]:
                    there = [re.sub(r"^.*:/shared/", f"{shared}/", name) for name in (source, target)]
                    said.append(run(["cp", *there], laptop, laptop))
                case ["genoevo", "mega", "sweep", *_]:
                    said.append(first.run(words_of(command), shared))
                case ["genoevo", *_]:
                    small = smaller(words_of(command))
                    if {"train", "runs/a", "runs/c"} & {*words}:
                        said.append(run(small, laptop, laptop))
                    else:
                        said.append(first.run(small, shared))
                case _:
                    raise AssertionError(f"who runs {command!r}?")
    text = " ".join(" ".join(said).split())
    assert "verified. SHA-256" in text
    assert "The archive has no replay." in text
    assert text.count("2 of 2 runs done") == 2
    assert "stays exact: host" in text
    assert re.search(r"-> first; directory .+?; rollouts local -> ray; workers \d -> 6", text)
    assert re.search(r"host first -> .+?; directory .+?; rollouts ray -> local; workers 6 -> \d", text)
