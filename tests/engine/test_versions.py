import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from genoevo import Community, Evolution, Population
from genoevo.algorithms import ALGORITHMS
from genoevo.community import RecordCommunity
from genoevo.evaluation import Vectorised
from genoevo.state import VERSION, load

FIXTURES = Path(__file__).parent / "fixtures"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text())


@pytest.fixture(scope="module")
def write():
    spec = importlib.util.spec_from_file_location("write", FIXTURES / "write.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_of_every_version_is_read_and_goes_on_to_the_same_bits(write, name):
    assert write.gone_on(FIXTURES / name) == EXPECTED[name]


def test_every_version_of_every_kind_has_a_fixture_that_is_tested():
    files = {path.name for path in FIXTURES.glob("*.npz")}
    assert files == set(EXPECTED)
    found = {re.match(r"(\w+)-v(\d+)", name).groups() for name in files}
    first = {"evolution": 1, "community": 1, "record_community": 2}  # there were no records before
    first |= {name.replace("-", "_"): 2 for name in ALGORITHMS}
    assert found == {(kind, str(v)) for kind, earliest in first.items() for v in range(earliest, VERSION + 1)}


@pytest.mark.parametrize("name", [name for name in EXPECTED if "-v1" in name])
def test_a_migrated_state_has_every_part_of_the_present_one(write, name):
    state = load(FIXTURES / name)
    begin = {"evolution": write.begin_evolution, "community": write.begin_community}[state["kind"]]
    assert set(state) == set(begin().state_dict())


def test_the_first_layout_keeps_what_it_knew():
    state = load(FIXTURES / "evolution-v1-first.npz")
    evolution = Evolution.from_state(state)
    assert (evolution.generation, evolution.evaluations) == (6, 12 + 5 * 11)
    assert (evolution.selection.tournament_size, evolution.survival.elites) == (3, 1)
    assert evolution.is_asked
    assert len(evolution.ask()) == 11
    assert evolution.best.fitness.values[0] == evolution.logbook[-1]["best"] == int(evolution.best.bits.sum())
    best = [record["best"] for record in evolution.logbook]
    assert evolution.stagnant == len(best) - 1 - best.index(best[-1])


def test_a_community_of_the_first_layout_keeps_what_it_knew():
    community = Community.from_state(load(FIXTURES / "community-v1-first.npz"))
    assert (community.rounds, community.tasks, community.stages.tolist()) == (4, ["reach", "push"], [3, 3])


def test_a_community_with_records_keeps_what_it_knew():
    community = RecordCommunity.from_state(load(FIXTURES / "record_community-v2.npz"))
    archive, record = community.archive, community.record
    assert (community.rounds, community.stages.max() > 3) == (12, True)
    assert archive.settled[:, :2].all()
    assert (archive.turns[:, :2].max(axis=1) > 1).all()
    assert (record.age[:, : community.size] > 0).any(axis=1).all()
    assert record.as_arrays()["present"][:, : community.size].all()  # the round's episodes
    assert not np.isnan(record.surrogate[:, : community.size]).all()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_keeps_what_it_knew(write, name):
    search = ALGORITHMS[name].from_state(load(FIXTURES / f"{name.replace('-', '_')}-v2.npz"), Vectorised(write.traps))
    assert search.evaluations >= 300
    assert search.is_asked
    assert len(search.lineage) == search.evaluations
    assert search.best.fitness.values[0] == write.traps(Population.from_genotypes([search.best]))[0]
    assert search.population.fitness.tolist() == write.traps(search.population).tolist()
