import dataclasses

import numpy as np
import pytest

from genoevo import Community, Evolution, Population, StagedLayout
from genoevo.community import Decoding, Growth, Mating
from genoevo.operators import Reproduction
from genoevo.operators.reproduction import Origin
from genoevo.state import load, save
from tests.engine.communities import (
    LAYOUT,
    community,
    growths,
    play,
)


@pytest.mark.parametrize(
    ("performance", "mean_return", "message"),
    [
        (np.zeros(3), None, r"performance must have shape \(2, 3\), got \(3,\)"),
        (np.zeros((3, 2)), None, r"performance must have shape \(2, 3\), got \(3, 2\)"),
        (np.full((2, 3), 1.01), None, "performance must be between 0 and 1"),
        (np.full((2, 3), -0.01), None, "performance must be between 0 and 1"),
        ([[0, 0, 0], [0, np.nan, 0]], None, "performance of genotype 1 of task 1 is nan, must be finite"),
        (np.zeros((2, 3)), np.zeros((2, 2)), r"mean_return must have shape \(2, 3\), got \(2, 2\)"),
        (np.zeros((2, 3)), [[0, 0, np.inf], [0, 0, 0]], "mean_return of genotype 2 of task 0 is inf, must be finite"),
        (np.zeros((2, 3)), [[np.nan, 0, 0], [0, 0, 0]], "mean_return of genotype 0 of task 0 is nan, must be finite"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(frozen, performance, mean_return, message):
    one = community(2)
    play(one, [0.5] * 2)
    before = frozen(one.state_dict())
    with pytest.raises(ValueError, match=message):
        one.step(performance, mean_return)
    assert frozen(one.state_dict()) == before


def test_without_a_mean_return_it_is_zero(frozen):
    one, other = community(2), community(2)
    one.step(np.full((2, 3), 0.5))
    other.step(np.full((2, 3), 0.5), np.zeros((2, 3)))
    assert frozen(one.state_dict()) == frozen(other.state_dict())


SETTINGS = {
    "reproduction": Reproduction(crossover="segments", crossover_threshold=0.6, mutation_threshold=0.9),
    "mating": Mating(community_rate=0.5, usage_cost=0.03),
    "growth": Growth(patience=2, warmup_rounds=1, fill="random", shrink=True, mastery=0.6),
    "decoding": Decoding(offset=0.9),
}


def play_on(one, rounds):
    """Rounds whose input depends on the round's number alone."""
    for _ in range(rounds):
        rng = np.random.default_rng(one.rounds)
        level = [[0.0], [0.4], [1.0]]
        one.step(np.minimum(rng.random((3, 3)), level), rng.normal(size=(3, 3)))
    return one


@pytest.mark.parametrize("through_a_file", [False, True])
@pytest.mark.parametrize("rounds", [0, 1, 2, 5])
def test_a_resumed_community_goes_on_bit_for_bit(tmp_path, frozen, rounds, through_a_file):
    straight = play_on(community(3, **SETTINGS), rounds + 12)
    state = play_on(community(3, **SETTINGS), rounds).state_dict()
    if through_a_file:
        save(tmp_path / "state", state)
        state = load(tmp_path / "state")
    resumed = Community.from_state(state)
    assert frozen(resumed.state_dict()) == frozen(state)
    assert frozen(play_on(resumed, 12).state_dict()) == frozen(straight.state_dict())
    assert straight.stages.max() > 3


@pytest.mark.parametrize("settings", [{"crossover": "cut_and_splice"}, {"resize_rate": 0.1}])
def test_reproduction_that_changes_lengths_is_refused(settings):
    with pytest.raises(ValueError, match="reproduction must not change lengths"):
        community(2, reproduction=Reproduction(**settings))


def test_a_resumed_community_has_all_settings():
    resumed = Community.from_state(community(3, size=4, stage=2, **SETTINGS).state_dict())
    assert {name: getattr(resumed, name) for name in SETTINGS} == SETTINGS
    assert (resumed.layout, resumed.size, resumed.start_stage) == (LAYOUT, 4, 2)
    assert resumed.tasks == ["task 0", "task 1", "task 2"]


def test_a_state_is_a_snapshot_that_later_rounds_do_not_change(frozen):
    one = play_on(community(3, **SETTINGS), 2)
    state = one.state_dict()
    before = frozen(state)
    play_on(one, 6)
    play_on(Community.from_state(state), 6)
    assert frozen(state) == before


def test_the_state_of_something_else_is_refused(rng):
    state = Evolution(None, Population.random(4, 18, rng), seed=1).state_dict()
    with pytest.raises(ValueError, match="this is the state of 'evolution', not of 'community'"):
        Community.from_state(state)


@pytest.mark.parametrize("part", sorted(community().state_dict()))
def test_a_state_that_lacks_a_part_is_refused_by_name(part):
    state = community().state_dict()
    del state[part]
    with pytest.raises(ValueError, match="not of 'community'" if part == "kind" else f"has no '{part}'"):
        Community.from_state(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 10**9}, "tasks of 1000000000 genotypes .* cannot have Population"),
        ({"start_stage": 10**6}, "start_stage must be a whole number from 1 to 3, got 1000000"),
        ({"precision": "2"}, "precision must be a whole number from 1 to 16, got '2'"),
        ({"precision": 5}, "no stage has 18 bits at precision 5"),
        ({"tasks": "ab"}, "tasks must be a list of names, got 'ab'"),
        ({"tasks": ["a", "a"]}, "each once"),
        ({"rounds": -1}, "rounds must be a whole number of at least 0, got -1"),
        ({"memory": {}}, "a community's growth history has no 'stagnant'"),
    ],
)
def test_a_state_with_a_damaged_part_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        Community.from_state({**community(2).state_dict(), **change})


@pytest.mark.parametrize("rule", ["reproduction", "mating", "growth", "decoding"])
def test_an_unknown_setting_in_a_state_is_refused(rule):
    state = community().state_dict()
    state[rule] = {**state[rule], "speed": 9}
    with pytest.raises(ValueError, match=f"{rule.capitalize()} has no setting 'speed'"):
        Community.from_state(state)


def test_a_state_written_before_decoding_had_kinds_is_read_as_dense(frozen):
    state = community().state_dict()
    assert set(state["decoding"]) == {"offset", "decimal_scale"}
    resumed = Community.from_state(state)
    assert resumed.decoding == Decoding(kind="dense")
    assert frozen(resumed.state_dict()) == frozen(state)


@pytest.mark.parametrize("kind", ["sparse", "gates"])
def test_a_resumed_community_keeps_its_kind_of_decoding(kind):
    resumed = Community.from_state(community(decoding=Decoding(kind=kind)).state_dict())
    assert resumed.decoding == Decoding(kind=kind)


@pytest.mark.parametrize("kind", ["thin", 3, None])
def test_an_unknown_kind_of_decoding_in_a_state_is_refused(kind):
    state = community().state_dict()
    state["decoding"] = {**state["decoding"], "kind": kind}
    with pytest.raises(ValueError, match=r"kind must be (one of dense, gates, sparse|of type .*), got"):
        Community.from_state(state)


@pytest.mark.parametrize("name", ["offset", "decimal_scale"])
def test_a_state_that_lacks_a_setting_is_refused_by_name(name):
    state = community().state_dict()
    del state["decoding"][name]
    with pytest.raises(ValueError, match=f"the state of Decoding has no '{name}'"):
        Community.from_state(state)


@pytest.mark.parametrize("rule", [Decoding, Mating, Growth])
def test_settings_cannot_be_changed(rule):
    settings = rule()
    name = dataclasses.fields(settings)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, name, 0)


def test_a_mastered_task_that_is_unlucky_now_and_then_stays_where_it_is():
    noisy, rng = community(tasks=8, growth=Growth(patience=5, warmup_rounds=0)), np.random.default_rng(3)
    for _ in range(200):
        noisy.step(rng.random((8, 3)) < 0.97)
    assert noisy.stages.tolist() == [3] * 8


def test_the_best_return_is_not_forgotten_when_a_success_comes_with_a_lower_one():
    rule = Growth(patience=4, warmup_rounds=0)
    successes, returns = [0, 0.5, 0, 0, 0, 0], [100, 20, 40, 40, 40, 40]
    assert growths(community(growth=rule), successes, returns) == [6]


def test_a_round_tells_what_every_new_genotype_was_made_from():
    layout = StagedLayout(2)
    copying = Reproduction(crossover_threshold=0.5, mutation_threshold=0.8, crossover="uniform", mutation_rate=0.0)
    community = Community(layout, ["a", "b", "c"], seed=5, size=30, reproduction=copying)
    before = [str(genotype) for genotype in community.population]
    done = community.step(np.random.default_rng(2).random((3, 30)))
    for task in range(3):
        after = [str(genotype) for genotype in community.of(task)]
        assert after[0] == before[task * 30 + done.elites[task]]
        for child, (first, second), origin in zip(after[1:], done.parents[task], done.origins[task], strict=True):
            if origin == Origin.FRESH:
                assert (first, second) == (-1, -1)
                continue
            assert task * 30 <= first < (task + 1) * 30
            if origin == Origin.MUTATION:
                assert second == -1
                assert child == before[first]
            else:
                assert all(bit in (a, b) for bit, a, b in zip(child, before[first], before[second], strict=True))
    assert set(done.origins.ravel()) == {0, 1, 2}
