"""The state of a community whose genotypes keep a record: resumed bit for bit, or refused in one line."""

import numpy as np
import pytest

from genoevo import Community
from genoevo.community import Candidates, Decoding, Frontier, Growth, Mating, RecordCommunity, Selection
from genoevo.community.candidates import Search
from genoevo.operators import Reproduction
from genoevo.state import load, save
from tests.engine.communities import community as plain
from tests.engine.records import add, community

SETTINGS = {
    "reproduction": Reproduction(crossover="segments", crossover_threshold=0.6, mutation_threshold=0.9),
    "mating": Mating(community_rate=0.5),
    "growth": Growth(patience=2, warmup_rounds=1, fill="explore", unused_patience=2, mastery=0.6),
    "decoding": Decoding(kind="sparse"),
    "selection": Selection(rule="record", confidence=0.5, memory=0.8),
    "candidates": Candidates(children=6, generations=2, first_generations=2, pool=4, surrogate=1.0, inertia=1.0),
    "frontier": Frontier(size=2, trial_rounds=1),
}


def begun(**settings):
    return community(3, **{**SETTINGS, **settings})


def play_on(one, rounds, begin=True):
    """Rounds whose episodes depend on the round's number alone; the last round's episodes are added as well."""
    for _ in range(rounds):
        if begin:
            show(one)
        begin = True
        rng = np.random.default_rng([5, one.rounds])
        one.step(judge=lambda population, tasks, rng=rng: rng.random(len(population)))
    return one


def show(one):
    rng = np.random.default_rng(one.rounds)
    add(one, rng.random((3, 3)) < [[0.0], [0.4], [1.0]], rng.normal(size=(3, 3)))
    if one.archive is not None:
        places = 3 + one.archive.acting(one.rounds)
        one.record.add(np.arange(3), places, rng.random(3) < 0.5, rng.normal(size=3))


@pytest.mark.parametrize("through_a_file", [False, True])
@pytest.mark.parametrize("rounds", range(6))
def test_a_resumed_community_goes_on_bit_for_bit(tmp_path, frozen, rounds, through_a_file):
    straight = play_on(begun(), rounds + 8)
    state = play_on(begun(), rounds).state_dict()
    if through_a_file:
        save(tmp_path / "state", state)
        state = load(tmp_path / "state")
    resumed = RecordCommunity.from_state(state)
    assert frozen(resumed.state_dict()) == frozen(state)
    assert frozen(play_on(resumed, 8).state_dict()) == frozen(straight.state_dict())
    assert straight.stages.max() > 3


def test_a_community_saved_between_episodes_and_round_goes_on_bit_for_bit(frozen):
    straight = play_on(begun(), 9)
    half = play_on(begun(), 4)
    show(half)
    resumed = RecordCommunity.from_state(half.state_dict())
    assert frozen(play_on(resumed, 5, begin=False).state_dict()) == frozen(straight.state_dict())


@pytest.mark.parametrize("rule", [{"shuffle": "surrogate"}, {"shuffle": "all"}, {"distinct": True}])
def test_control_runs_and_distinct_genotypes_are_resumed_bit_for_bit_too(frozen, rule):
    rules = {"candidates": Candidates(children=6, surrogate=1.0, inertia=1.0, **rule)}
    straight = play_on(begun(**rules), 6)
    resumed = play_on(RecordCommunity.from_state(play_on(begun(**rules), 3).state_dict()), 3)
    assert frozen(resumed.state_dict()) == frozen(straight.state_dict())


def test_a_resumed_community_has_all_settings():
    resumed = RecordCommunity.from_state(begun(size=4, stage=2).state_dict())
    assert {name: getattr(resumed, name) for name in SETTINGS} == SETTINGS
    assert (resumed.size, resumed.start_stage, resumed.tasks) == (4, 2, ["task 0", "task 1", "task 2"])


def test_resuming_makes_no_search_for_a_first_generation(monkeypatch):
    state = begun().state_dict()
    monkeypatch.setattr(Search, "settle", lambda *given: pytest.fail("it has its generation"))
    RecordCommunity.from_state(state)


def test_a_state_is_a_snapshot_that_later_rounds_do_not_change(frozen):
    one = play_on(begun(), 2)
    state = one.state_dict()
    before = frozen(state)
    play_on(one, 6)
    play_on(RecordCommunity.from_state(state), 6)
    assert frozen(state) == before


def test_the_states_of_the_two_kinds_of_communities_are_told_apart():
    with pytest.raises(ValueError, match="this is the state of a community whose genotypes keep a record"):
        Community.from_state(begun().state_dict())
    with pytest.raises(ValueError, match="the state of a community with records has no 'selection'"):
        RecordCommunity.from_state(plain(3).state_dict())


def test_a_state_of_before_there_were_frontiers_is_read_as_one_without(frozen):
    one = play_on(begun(frontier=Frontier()), 3)
    state = one.state_dict()
    assert "archive" not in state
    del state["frontier"]
    resumed = RecordCommunity.from_state(state)
    assert resumed.frontier == Frontier()
    assert frozen(play_on(resumed, 3).state_dict()) == frozen(play_on(one, 3).state_dict())


@pytest.mark.parametrize("part", sorted({*begun().state_dict()} - {"frontier"}))
def test_a_state_that_lacks_a_part_is_refused_by_name(part):
    state = begun().state_dict()
    del state[part]
    with pytest.raises(ValueError, match="not of 'community'" if part == "kind" else f"has no '{part}'"):
        RecordCommunity.from_state(state)


def changed(part, name, value):
    state = play_on(begun(), 12).state_dict()
    state[part] = {**state[part], name: value}
    return state


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        ("selection", "speed", 9, "Selection has no setting 'speed'"),
        ("selection", "memory", 2.0, "memory must be between 0 and 1, got 2.0"),
        ("selection", "rule", 3, "rule must be"),
        ("candidates", "speed", 9, "Candidates has no setting 'speed'"),
        ("candidates", "pool", 1, "pool must be at least 2, got 1"),
        ("candidates", "children", "6", "children must be"),
        ("growth", "max_modules", 3, r"stage [4-9] is above max_modules \(3\)"),
        ("growth", "unused_patience", 0, "unused_patience must be at least 1, got 0"),
        ("record", "episodes", np.zeros((3, 2)), r"episodes must be of shape \(3, 6\), got \(3, 2\)"),
        (
            "record",
            "relative_returns",
            np.full((3, 6), np.nan),
            "relative_returns of a fitness record must be finite",
        ),
        ("record", "age", np.zeros((3, 5), int), r"age must be of shape \(3, 6\), got \(3, 5\)"),
        ("frontier", "size", 1, "size must be 0 or at least 2, got 1"),
        ("frontier", "size", 3, r"settled must be of shape \(3, 4\), got \(3, 3\)"),
        ("archive", "settled", np.zeros((3, 3)), "settled must be an array of bool, got float64"),
        ("memory", "stagnant", np.full(3, -1), "stagnant of a community's growth history must be at least 0"),
        ("memory", "unused", np.full(3, -1), "unused of a community's growth history must be at least 0"),
        ("memory", "waiting", np.zeros(3), "waiting must be an array of bool, got float64"),
        (
            "memory",
            "best_success",
            np.full(3, np.nan),
            "best_success of a community's growth history must be a number",
        ),
        ("memory", "best_return", np.zeros(4), r"best_return must be of shape \(3\), got \(4,\)"),
    ],
)
def test_a_state_with_a_damaged_part_is_refused_by_name(part, name, value, message):
    with pytest.raises(ValueError, match=message) as refused:
        RecordCommunity.from_state(changed(part, name, value))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["stagnant", "best_success", "best_return", "waiting", "unused"])
def test_a_growth_history_that_lacks_an_array_is_refused_by_name(name):
    state = begun().state_dict()
    del state["memory"][name]
    with pytest.raises(ValueError, match=f"a community's growth history has no '{name}'"):
        RecordCommunity.from_state(state)


def test_settings_at_their_default_leave_no_trace_that_earlier_versions_could_not_read(frozen):
    state = community(growth=Growth(), selection=Selection(rule="record")).state_dict()
    assert "unused_patience" not in state["growth"]
    assert "distinct" not in state["candidates"]
    resumed = RecordCommunity.from_state(state)
    assert resumed.growth.unused_patience is None
    assert frozen(resumed.state_dict()) == frozen(state)
