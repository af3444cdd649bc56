"""A run with frontiers: what is recorded, kept, priced and resumed."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from genoevo.decode import stages_of
from genoevo.population import Population
from genoevo_cli.main import cli
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.evolution.frontiers import Member
from genoevo_mega.experiments import frontiers, runs
from genoevo_mega.networks.route_cost import multiply_adds
from genoevo_mega.policies.choice import Limit
from genoevo_mega.policies.export import export_tasks
from genoevo_mega.policies.policy import Trained
from genoevo_mega.training.evaluation import evaluate
from genoevo_runs.errors import UserError
from tests.engine.communities import BOTH_MODULES, INPUT_ALONE, MODULE_1_ALONE
from tests.mega.frontiers import FRONTIER, TASKS, train

pytestmark = pytest.mark.usefixtures("quick_runs")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("frontier") / "run")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The same run, stopped in the middle of an episode and resumed."""
    directory = train(tmp_path_factory.mktemp("frontier") / "parts", steps=410)
    runs.resume(directory).run(800)
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


def test_two_workers_give_the_same_bits_as_one(run, tmp_path):
    assert runs.info(train(tmp_path / "run", compute={"workers": 2}))["digest"] == runs.info(run)["digest"]


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
    longer = Population.from_genotypes(["1" * layout.length(4)], archive.population.weights)
    archive.population = archive.population.replaced(np.array([0]), longer)
    evolver._store.extend()
    assert evolver.stages.max() == 2
    assert evolver.modules[0] == 4


def test_a_frontier_needs_genotypes_of_different_price():
    with pytest.raises(UserError, match=r"frontier\.size = 2: needs decoding\.kind = 'sparse' or 'gates'"):
        build_config(preset("smoke"), FRONTIER, {"decoding": {"kind": "dense"}})


# ------------------------------------------------------------------------------------------------------- policies


@pytest.fixture(scope="module")
def trained(run):
    """The run's agent with frontiers that are known: the embedding alone, module 1, and an elite of both modules."""
    settled = [Member(bits, elite=False, settled=True, success=0.2) for bits in (INPUT_ALONE, MODULE_1_ALONE)]
    members = (*settled, Member(BOTH_MODULES, elite=True, settled=False, success=0.6))
    elites = dict.fromkeys(range(len(TASKS)), BOTH_MODULES)
    return replace(Trained.of_run(run).with_genotypes(elites), members=(members,) * len(TASKS))


@pytest.mark.parametrize("bits", [INPUT_ALONE, MODULE_1_ALONE])
def test_every_genotype_of_a_frontier_gives_a_policy_that_computes_its_own_route(trained, bits):
    observations = torch.randn(len(TASKS), 8, trained.suite.observation_size)
    other = trained.with_genotypes({1: bits})
    actions, elites = other.greedy(observations), trained.greedy(observations)
    assert torch.allclose(other.policy(1)(observations[1]), actions[1], atol=1e-6)
    assert other.policy(1).multiply_adds < trained.policy(1).multiply_adds
    assert not torch.allclose(actions[1], elites[1], atol=1e-4)
    assert torch.allclose(actions[0], elites[0], atol=1e-6)


def test_the_members_of_a_loaded_run_are_its_frontiers_and_elites(run):
    found, evolver = Trained.of_run(run), runs.resume(run).state.evolver
    assert found.members == tuple(tuple(evolver.members(task)) for task in range(len(TASKS)))


def test_with_no_other_genotypes_the_policies_are_the_elites(trained):
    observations = torch.randn(len(TASKS), 8, trained.suite.observation_size)
    assert torch.equal(trained.with_genotypes({}).greedy(observations), trained.greedy(observations))


def test_an_exported_settled_genotype_acts_as_it_trained_and_is_marked(trained, tmp_path):
    exported = export_tasks(trained, tmp_path / "out", limit=Limit(max_modules=1))
    assert [(one.genotype, one.modules) for one in exported] == [("settled", []), ("settled", [])]
    assert max(one.difference for one in exported) < 1e-5
    content = json.loads((tmp_path / "out" / "policies.json").read_text())
    assert content["limit"] == {"budget": None, "max_modules": 1}
    for one, written in zip(exported, content["policies"], strict=True):
        listed = written["frontier"]
        assert [entry["bits"] for entry in listed] == [INPUT_ALONE, MODULE_1_ALONE, BOTH_MODULES]
        assert [entry["modules"] for entry in listed] == [0, 1, 2]
        assert [entry["exported"] for entry in listed] == [True, False, False]
        assert [entry["elite"] for entry in listed] == [False, False, True]
        assert listed[0]["multiply_adds"] == one.multiply_adds


def test_without_a_limit_elites_are_exported(trained, tmp_path):
    exported = export_tasks(trained, tmp_path / "out")
    assert {one.genotype for one in exported} == {"elite"}
    assert json.loads((tmp_path / "out" / "policies.json").read_text())["limit"] is None


def test_a_limit_that_nothing_is_within_writes_nothing(trained, tmp_path):
    with pytest.raises(UserError, match=r"budget = 0\.01: no policy of point is within it"):
        export_tasks(trained, tmp_path / "out", limit=Limit(budget=0.01))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fixed", ["mtsac"], indirect=True)
def test_an_architecture_without_genotypes_has_no_choice(fixed, tmp_path):
    with pytest.raises(UserError, match="architecture = 'mtsac' has one policy for each task"):
        export_tasks(fixed, tmp_path / "out", limit=Limit(budget=0.5))
    assert export_tasks(fixed, tmp_path / "out")[0].frontier == []


def test_all_genotypes_of_a_task_play_the_same_episodes_and_are_measured_by_them(run, monkeypatch):
    played = []

    def noted(pool, policy, episodes, length, progress, *, first_goal, wanted):
        played.append((first_goal, episodes, wanted.tolist()))
        progress(episodes)
        return evaluate(pool, policy, episodes, length, first_goal=first_goal, wanted=wanted)

    monkeypatch.setattr(frontiers, "evaluate", noted)
    found, told = frontiers.Frontiers.of_run(run), []
    measured = found.measure(3, told.append)
    assert {(first, episodes) for first, episodes, _ in played} == {(0, 3)}
    counts = np.sum([wanted for _, _, wanted in played], axis=0)
    assert counts.tolist() == [len(measured[name]) for name in TASKS]
    assert told[-1] == found.most * 3
    for task, name in enumerate(TASKS):
        assert [one.costed for one in measured[name]] == found.tasks[task]
        assert sum(one.costed.member.elite for one in measured[name]) == 1
        assert {one.success.episodes for one in measured[name]} == {3}


def test_an_elite_measured_in_its_frontier_has_the_success_of_the_plain_evaluation(run):
    plain = runs.evaluate_run(run, 4, lambda done: None)
    measured = frontiers.Frontiers.of_run(run).measure(4)
    for name in TASKS:
        [elite] = [one for one in measured[name] if one.costed.member.elite]
        assert elite.success == plain[name]


def test_a_run_without_frontiers_says_so(tmp_path):
    directory = train(tmp_path / "run", steps=40, frontier={"size": 0})
    with pytest.raises(UserError, match=r"has no frontier: it has frontier\.size = 0"):
        frontiers.Frontiers.of_run(directory)


def test_the_commands_print_the_frontier(run, tmp_path, capsys):
    for words in (
        ["evaluate", str(run), "--frontier", "--episodes", "1"],
        ["export", str(run), "--max-modules", "9"],
    ):
        for more in ([], ["--json"]):
            out = ["--out", str(tmp_path / f"out{len(more)}")] if words[0] == "export" else []
            with pytest.raises(SystemExit) as stop:
                cli.main(["mega", *words, *out, *more])
            assert stop.value.code == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert set(objects[0]["tasks"]) == set(TASKS)
    entry = objects[0]["tasks"]["point"][0]
    assert {"multiply_adds", "modules", "elite", "estimate", "success", "low", "high", "episodes"} <= set(entry)
    assert [one["exported"] for one in objects[1]["policies"][0]["frontier"]].count(True) == 1
