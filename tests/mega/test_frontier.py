"""A run with frontiers: what is recorded, kept, priced and resumed."""

import itertools
import json

import numpy as np
import pytest

from genoevo.decode import stages_of
from genoevo.population import Population
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.experiments import runs
from genoevo_mega.networks.route_cost import multiply_adds
from genoevo_runs.errors import UserError
from tests.mega.frontiers import FRONTIER, TASKS, train

pytestmark = pytest.mark.usefixtures("quick_runs")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("frontier") / "run")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The same run, stopped in the middle of an episode and resumed."""
    directory = train(tmp_path_factory.mktemp("frontier") / "parts", steps=710)
    runs.resume(directory).run(1200)
    return directory


def _rounds(directory):
    records = map(json.loads, (directory / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if record["kind"] == "round"]


def _evolver(**settings):
    config = build_config(preset("smoke"), FRONTIER, settings)
    return Evolver.fresh(config.evolution, list(TASKS), seed=2)


def test_the_last_recorded_frontier_of_each_task_is_the_runs(run):
    trainer = runs.resume(run)
    recorded = {}
    for record in _rounds(run):
        recorded |= record["selection"].get("frontier", {})
    assert set(recorded) == set(TASKS)
    for task, name in enumerate(TASKS):
        settled = [one for one in trainer.state.evolver.members(task) if one.settled]
        assert [(one.bits, one.price) for one in settled] == [(e["bits"], e["price"]) for e in recorded[name]]


def test_a_frontier_is_recorded_only_when_it_changes(run):
    told = [record["selection"]["frontier"] for record in _rounds(run) if "frontier" in record["selection"]]
    assert 0 < len(told) < len(_rounds(run))
    for name in TASKS:
        sets = [{entry["bits"] for entry in one[name]} for one in told if name in one]
        assert all(before != after for before, after in itertools.pairwise(sets))


def test_prices_are_multiply_adds_also_after_a_run_is_resumed(parts):
    trainer = runs.resume(parts)
    community, suite = trainer.state.evolver.community, trainer.suite
    assert (parts / "metrics.jsonl").read_text().count('"frontier"') > 2
    for task in range(len(TASKS)):
        for one in trainer.state.evolver.members(task):
            if one.settled:
                genotype = Population.from_genotypes([one.bits])
                weights, stages = community.weights(genotype), stages_of(genotype, community.layout)
                sizes = suite.observation_size, suite.action_size
                assert one.price == multiply_adds(trainer.config.network, *sizes, weights, stages)[0]


def test_a_run_with_frontiers_is_resumed_exactly(run, parts):
    assert runs.info(parts)["digest"] == runs.info(run)["digest"]
    assert (parts / "metrics.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes()


def test_without_a_frontier_a_tasks_only_member_is_its_elite():
    evolver = _evolver(frontier={"size": 0})
    for task in range(len(TASKS)):
        [member] = evolver.members(task)
        assert (member.bits, member.elite, member.settled) == (str(evolver.community.of(task)[0]), True, False)


def test_a_settled_genotype_of_the_elites_route_is_the_elite_with_its_episodes():
    evolver = _evolver()
    community, size = evolver.community, evolver.community.size
    community.archive.settled[0, 0] = True  # a fresh archive holds copies of the elite
    community.archive.prices[0, 0] = 7
    for place, success in ((0, True), (0, True), (size, False)):
        community.record.add(np.array([0]), np.array([place]), np.array([success]), np.array([0.0]))
    [member] = evolver.members(0)
    assert (member.elite, member.settled, member.price) == (True, True, 7)
    assert member.success > community.record.task_success.mean[0]


def test_the_pool_keeps_the_modules_of_settled_genotypes():
    evolver = _evolver(growth={"unused_patience": 1})
    archive = evolver.community.archive
    layout = evolver.community.layout
    longer = Population.from_genotypes(["1" * layout.length(4)])
    archive.population = archive.population.replaced(np.array([0]), longer)
    evolver._store.extend()
    assert evolver.stages.max() == 2
    assert evolver.modules[0] == 4


def test_a_frontier_needs_genotypes_of_different_price():
    with pytest.raises(UserError, match=r"frontier\.size = 2: needs decoding\.kind = 'sparse' or 'gates'"):
        build_config(preset("smoke"), FRONTIER, {"decoding": {"kind": "dense"}})
