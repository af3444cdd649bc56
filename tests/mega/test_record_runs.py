"""Runs whose genotypes keep a record: exact in every way, and what they write."""

import itertools
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from genoevo import state as engine_state
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from genoevo_mega.training import trainer as training
from genoevo_mega.training.digest import digest
from genoevo_runs.errors import ConfigError, UserError
from tests.mega.checkpoint.tiny import newest, resealed
from tests.mega.records import TASKS, configured, train

pytestmark = pytest.mark.usefixtures("quick_runs")

FIXTURES = Path(__file__).with_name("fixtures")
BY_ROUND = {
    "selection": {"rule": "round"},
    "candidates": {"children": 0},
    "genotypes": {"start": "random"},
    "growth": {"unused_patience": None},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run in one part."""
    return train(tmp_path_factory.mktemp("record") / "whole")


def _rounds(trainer):
    lines = (trainer.directory / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == "round"]


def _same(first, second):
    assert runs.info(first.directory)["digest"] == runs.info(second.directory)["digest"]
    lines = [(each.directory / "metrics.jsonl").read_bytes() for each in (first, second)]
    assert lines[0] == lines[1]
    states = [checkpoint.read_state(checkpoint.find(each.directory)) for each in (first, second)]
    for name in ("rngs", "losses", "steps", "updates", "pool_size"):
        assert states[0][name] == states[1][name]


# --- exact


@pytest.mark.parametrize("stop", [60, 484, 700])
def test_a_run_in_two_parts_equals_the_run_in_one(tmp_path, whole, stop):
    parts = train(tmp_path / "parts", until=stop)
    resumed = runs.resume(parts.directory)
    resumed.run(whole.config.steps)
    _same(whole, resumed)


@pytest.mark.parametrize("settings", [{}, {"schedule": {"update_lag": 0}}])
def test_one_and_two_workers_give_the_same_bits(tmp_path, settings):
    made = [train(tmp_path / str(n), settings, until=400, compute={"workers": n}) for n in (1, 2)]
    assert runs.info(made[0].directory)["digest"] == runs.info(made[1].directory)["digest"]
    assert _rounds(made[0]) == _rounds(made[1])


OTHERS = {
    "modular critics, uniform": {"critic": {"kind": "genotype"}, "genotypes": {"critic_routing": "uniform"}},
    "modular critics, elite": {"critic": {"kind": "genotype"}, "genotypes": {"critic_routing": "elite"}},
    "stored": {"genotypes": {"update_with": "stored"}},
    "gates": {"decoding": {"kind": "gates"}, "genotypes": {"start": "disjoint"}},
    "dense": {"decoding": {"kind": "dense"}, "genotypes": {"start": "random"}},
    "shuffled surrogate": {"candidates": {"shuffle": "surrogate"}},
    "all shuffled": {"candidates": {"shuffle": "all"}},
    "random search": {"candidates": {"fresh": 1.0}},
    "frozen": {"genotypes": {"evolve": False}},
    "distinct": {"candidates": {"distinct": True}},
    "frontier": {"frontier": {"size": 2, "trial_rounds": 1}},
}


@pytest.mark.parametrize("settings", OTHERS.values(), ids=OTHERS)
def test_every_variant_is_resumed_exactly(tmp_path, settings):
    one = train(tmp_path / "one", settings, until=380)
    train(tmp_path / "two", settings, until=266)
    two = runs.resume(tmp_path / "two")
    two.run(380)
    _same(one, two)
    assert one.state.evolver.rounds > 3


@pytest.mark.parametrize(
    ("part", "name"), [("record", "relative_returns"), ("archive", "prices"), ("population", "fitness")]
)
def test_the_digest_of_a_run_covers_records_and_frontiers(tmp_path, part, name):
    train(tmp_path / "run", OTHERS["frontier"], until=200)
    path = newest(tmp_path / "run")
    before, state = digest(path), engine_state.load(path / "community.npz")
    state[part][name] = state[part][name] + 1.0
    engine_state.save(path / "community.npz", state)
    assert digest(path) != before


# --- the pool


def test_the_pool_grows_and_gives_modules_back_with_the_stages(whole):
    rounds = _rounds(whole)
    sizes = [record["pool_size"] for record in rounds]
    assert sizes == [max(2, *record["stage"].values()) for record in rounds]
    assert max(sizes) > 2
    assert any(after < before for before, after in itertools.pairwise(sizes))


def test_with_stored_genotypes_the_pool_keeps_what_they_use(tmp_path):
    trainer = train(tmp_path / "run", {"genotypes": {"update_with": "stored"}})
    rounds = _rounds(trainer)
    highest = np.maximum.accumulate([max(record["stage"].values()) for record in rounds])
    assert [record["pool_size"] for record in rounds] == highest.tolist()
    assert any(max(record["stage"].values()) < record["pool_size"] for record in rounds)


def test_without_an_unused_patience_the_pool_never_shrinks(tmp_path):
    trainer = train(
        tmp_path / "run", {"growth": {"unused_patience": None, "shrink": True, "mastery": 0.0}}, until=300
    )
    sizes = [record["pool_size"] for record in _rounds(trainer)]
    assert sizes == sorted(sizes)


# --- what a round writes


def test_a_round_tells_what_selection_saw(whole):
    community = whole.state.evolver.community
    for record in _rounds(whole):
        found = record["selection"]
        assert 0 <= found["survived"] <= 1
        assert 0 <= found["overlap"] <= 1
        assert 1 <= found["kept"] <= 3
        assert set(found["genotypes"]) == set(TASKS)
        for columns in found["genotypes"].values():
            assert {len(column) for column in columns.values()} == {3}
            assert all(0 < rate < 1 for rate in columns["success"])
            assert all(0 <= rate <= 1 for rate in columns["round_success"])
        assert _episodes_of_genotypes(record) == record["episodes"]
    last = _rounds(whole)[-1]
    assert last["round"] == community.rounds
    correlations = [record["selection"]["surrogate_correlation"] for record in _rounds(whole)]
    assert correlations[0] is None
    assert all(-1 <= value <= 1 for value in correlations if value is not None)
    assert any(value is not None for value in correlations)


def _episodes_of_genotypes(record):
    return {task: sum(columns["episodes"]) for task, columns in record["selection"]["genotypes"].items()}


def test_a_round_without_records_tells_what_its_episodes_were(tmp_path):
    by_round = {"selection": {"rule": "round"}, "genotypes": {"start": "random"}, "frontier": {"size": 0}}
    alone = {"candidates": {"children": 0}, "growth": {"unused_patience": None}}
    rounds = _rounds(train(tmp_path / "run", by_round, alone, until=200))
    assert rounds
    for record in rounds:
        assert _episodes_of_genotypes(record) == record["episodes"]
        for task, columns in record["selection"]["genotypes"].items():
            assert set(columns) == {"episodes", "round_success", "round_return"}
            for name, mean in (("round_success", "success"), ("round_return", "return")):
                assert np.mean(columns[name]) == pytest.approx(record[mean][task], abs=1e-3)


def test_age_rises_by_one_a_round_and_starts_anew_for_new_genotypes(whole):
    rounds = _rounds(whole)
    stays = []
    for last, before, after in zip(rounds, rounds[1:], rounds[2:], strict=False):
        for task, name in enumerate(TASKS):
            ages, later = (each["selection"]["genotypes"][name]["age"] for each in (before, after))
            for place, (origin, first, _) in enumerate(before["genealogy"]["children"][task], 1):
                stays.append(origin == -1 and last["stage"][name] == before["stage"][name])
                assert later[place] == (ages[first % 3] + 1 if stays[-1] else 1)
    assert set(stays) == {True, False}


def test_rejected_genotypes_do_not_stay(whole):
    seen = 0
    for record in _rounds(whole):
        for task, name in enumerate(TASKS):
            rejected = record["selection"]["genotypes"][name]["rejected"]
            stay = {first % 3 for origin, first, _ in record["genealogy"]["children"][task] if origin == -1}
            assert not any(rejected[place] for place in stay)
            seen += sum(rejected)
    assert seen


def test_the_time_of_evolution_includes_candidates_and_what_judges_them(tmp_path, monkeypatch):
    def slow(*given):
        score = judged(*given)
        time.sleep(0.05)  # to draw states
        return lambda *candidates: time.sleep(0.05) or score(*candidates)

    judged = training.judge
    monkeypatch.setattr(training, "judge", slow)
    trainer = train(tmp_path / "run", until=200)
    rounds = len(_rounds(trainer))
    # A judge is asked for the members and for two generations of children.
    assert rounds > 1
    assert runs.info(trainer.directory)["time"]["evolving"] > 0.2 * rounds


# --- earlier checkpoints, other settings


def test_a_checkpoint_of_before_there_was_a_surrogate_goes_on(tmp_path):
    run = shutil.copytree(FIXTURES / "run_v3", tmp_path / "run")
    for state in run.glob("checkpoints/*/state.json"):
        assert "surrogate" not in json.loads(state.read_text())["rngs"]
    trainer = runs.resume(run)
    trainer.run(60)
    assert "surrogate" in checkpoint.read_state(checkpoint.find(run))["rngs"]


def test_a_checkpoint_with_an_unknown_random_stream_is_refused(tmp_path):
    train(tmp_path / "run", until=40)
    path = newest(tmp_path / "run")
    state = json.loads((path / "state.json").read_text())
    state["rngs"]["dice"] = state["rngs"]["surrogate"]
    (path / "state.json").write_text(json.dumps(state))
    resealed(path)
    with pytest.raises(UserError, match=r"rngs: must be goals, .*surrogate, got .*dice"):
        runs.resume(tmp_path / "run")


@pytest.mark.parametrize(("rule", "other"), [("record", "round"), ("round", "record")])
def test_a_state_of_the_other_rule_of_selection_is_refused(rule, other):
    settings = {name: configured({} if name == "record" else BY_ROUND).evolution for name in (rule, other)}
    state = Evolver.fresh(settings[rule], list(TASKS), seed=2).state_dict()
    with pytest.raises(UserError, match=f"selection.rule = '{other}' differs from the rules of the run"):
        Evolver.from_state(settings[other], list(TASKS), state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"genotypes": {"rollback": 0.2}}, r"genotypes.rollback = 0.2: must be null for selection.rule = 'record'"),
        ({"genotypes": {"hybrid_rate": 0.1}, "decoding": {"kind": "dense"}}, r"genotypes.hybrid_rate = 0.1: must be"),
        ({"selection": {"rule": "round"}}, r"genotypes.start: needs selection.rule = 'record', got 'round'"),
        (
            {"selection": {"rule": "round"}, "genotypes": {"start": "random"}},
            r"candidates.children: needs selection.rule = 'record', got 'round'",
        ),
        (
            {
                "selection": {"rule": "round"},
                "genotypes": {"start": "random"},
                "candidates": {"children": 0},
            },
            r"growth.unused_patience: needs selection.rule = 'record', got 'round'",
        ),
        (
            {"frontier": {"size": 2}, "genotypes": {"evolve": False}},
            r"frontier.size = 2: needs genotypes.evolve = true, got false",
        ),
        ({"selection": {"memory": 1.5}}, r"selection.memory"),
        ({"candidates": {"shuffle": "some"}}, r"candidates.shuffle"),
        ({"candidates": {"crowding": float("nan")}}, r"candidates.crowding"),
    ],
)
def test_settings_that_do_not_fit_the_rule_of_selection_are_refused_by_name(settings, message):
    with pytest.raises(ConfigError, match=message):
        configured(settings)
