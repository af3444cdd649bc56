"""The frontier of a task: which genotypes settle, at what price, and what their few episodes are worth."""

import numpy as np
import pytest

from genoevo import Genotype, Population, StagedLayout
from genoevo.community import Decoding, Frontier, RecordCommunity, Selection
from genoevo.community.fitness import FitnessRecord
from genoevo.community.frontier import Archive
from genoevo.decode import decode_population, stages_of
from genoevo.operators.routes import route_keys
from genoevo.state import load, population_state, save
from tests.engine.communities import BOTH_MODULES, INPUT_ALONE, LAYOUT, MODULE_1_ALONE, MODULE_2_ALONE

SPARSE = Decoding(kind="sparse")
RULE = Frontier(size=2, trial_rounds=1)


def _routes(population):
    return route_keys(decode_population(population, LAYOUT, kind="sparse"), stages_of(population, LAYOUT))


def _price(population):
    """From 0 to 3 for the four genotypes of the tests."""
    known = [INPUT_ALONE, MODULE_1_ALONE, MODULE_2_ALONE, BOTH_MODULES]
    return np.array([known.index(str(genotype)) for genotype in population], float)


def _population(*texts):
    return Population.from_genotypes([Genotype(text) for text in texts])


def _archive(texts, settled):
    archive = Archive.fresh(_population(texts[0]), RULE)
    archive.population, archive.settled = _population(*texts), np.array([settled])
    archive.prices = np.where([settled], [[1.0, 2.0, 0.0]], np.nan)
    return archive


def _record(successes, age=1):
    """The elite's place, one more of the population, and the archive's three, with ten episodes each."""
    record = FitnessRecord.fresh(1, 5)
    for place, share in enumerate(successes):
        for episode in range(10):
            record.add(np.array([0]), np.array([place]), np.array([episode < 10 * share]), np.array([0.0]))
    record.age[:] = age
    return record


def _update(archive, record, elite=MODULE_2_ALONE, child=None):
    offspring = child or (lambda parents: parents)
    return archive.update(record, _population(elite), _price, _routes, offspring, RULE)


def test_a_better_and_cheaper_trial_takes_the_place_of_the_worst_genotype():
    archive = _archive([MODULE_1_ALONE, MODULE_2_ALONE, INPUT_ALONE], [True, True, False])
    assert _update(archive, _record([0.5, 0.0, 0.2, 0.1, 0.9])) == [0]
    assert [str(archive.population[place]) for place in range(2)] == [INPUT_ALONE, MODULE_1_ALONE]


def test_settled_genotypes_come_cheapest_first_with_their_prices():
    archive = _archive([MODULE_2_ALONE, MODULE_2_ALONE, INPUT_ALONE], [True, False, False])
    assert _update(archive, _record([0.0, 0.0, 0.9, 0.0, 0.1])) == [0]
    assert [str(archive.population[place]) for place in range(2)] == [INPUT_ALONE, MODULE_2_ALONE]
    assert archive.prices[0, :2].tolist() == [0, 2]
    assert np.isnan(archive.prices[0, 2])


def test_the_record_follows_the_genotypes():
    archive = _archive([MODULE_2_ALONE, MODULE_2_ALONE, INPUT_ALONE], [True, False, False])
    record = _record([0.0, 0.0, 0.9, 0.0, 0.1])
    _update(archive, record)
    assert record.successes[0].tolist() == [0, 0, 1, 9, 0]  # the new trial has none


def test_a_frontier_that_stays_as_it_is_is_not_told():
    archive = _archive([INPUT_ALONE, MODULE_1_ALONE, MODULE_2_ALONE], [True, True, False])
    record = _record([0.0, 0.0, 0.5, 0.9, 0.1])
    assert _update(archive, record) == []
    assert [str(archive.population[place]) for place in range(2)] == [INPUT_ALONE, MODULE_1_ALONE]


def test_a_trial_without_its_episodes_does_not_compete():
    archive = _archive([MODULE_2_ALONE, MODULE_2_ALONE, INPUT_ALONE], [True, False, False])
    assert _update(archive, _record([0.0, 0.0, 0.1, 0.0, 0.9], age=0)) == []
    assert archive.settled.tolist() == [[True, False, False]]


def test_two_genotypes_of_one_route_hold_one_place():
    # Module 2's inputs differ, and the output does not read module 2.
    other = "1100" + MODULE_1_ALONE[4:]
    assert _routes(_population(other, MODULE_1_ALONE, MODULE_2_ALONE))[0] == _routes(_population(MODULE_1_ALONE))[0]
    archive = _archive([MODULE_1_ALONE, MODULE_1_ALONE, other], [True, False, False])
    _update(archive, _record([0.0, 0.0, 0.5, 0.0, 0.9]), elite=MODULE_1_ALONE)
    assert archive.settled.sum() == 1


def test_a_child_of_a_known_route_is_bred_again():
    archive = _archive([MODULE_1_ALONE, MODULE_1_ALONE, MODULE_1_ALONE], [True, False, False])
    offers = [MODULE_1_ALONE, MODULE_1_ALONE, INPUT_ALONE, MODULE_2_ALONE]
    _update(archive, _record([0.0] * 5), elite=MODULE_1_ALONE, child=lambda parents: _population(offers.pop(0)))
    assert str(archive.population[2]) == INPUT_ALONE
    assert offers == [MODULE_2_ALONE]


def test_if_every_child_is_known_the_last_one_is_tried():
    archive = _archive([MODULE_1_ALONE, MODULE_1_ALONE, MODULE_1_ALONE], [True, False, False])
    _update(archive, _record([0.0] * 5), elite=MODULE_1_ALONE)
    assert str(archive.population[2]) == MODULE_1_ALONE


def test_a_child_of_the_elites_route_is_bred_again():
    # The elite is the worst and the dearest, so it does not settle.
    archive = _archive([INPUT_ALONE, MODULE_1_ALONE, INPUT_ALONE], [True, True, False])
    offers = [MODULE_2_ALONE, BOTH_MODULES]
    record = _record([0.0, 0.0, 0.9, 0.5, 0.0])
    _update(archive, record, elite=MODULE_2_ALONE, child=lambda parents: _population(offers.pop(0)))
    assert [str(genotype) for genotype in archive.population] == [INPUT_ALONE, MODULE_1_ALONE, BOTH_MODULES]


@pytest.mark.parametrize("age", [1, 2, 3])
def test_settled_genotypes_take_turns_as_parents_of_trials(age):
    archive = _archive([INPUT_ALONE, MODULE_1_ALONE, MODULE_2_ALONE], [True, True, False])
    parents = []
    for _ in range(4):
        record = _record([0.0, 0.0, 0.5, 0.9, 0.0], age=age)  # both stay
        _update(archive, record, child=lambda given: parents.append(str(given[0])) or _population(BOTH_MODULES))
    assert parents == [INPUT_ALONE, MODULE_1_ALONE] * 2


def test_a_genotype_that_has_just_settled_is_the_next_parent_and_the_others_keep_their_turns():
    archive = _archive([MODULE_1_ALONE, MODULE_2_ALONE, INPUT_ALONE], [True, True, False])
    archive.turns[0] = [3, 4, 0]
    _update(archive, _record([0.0, 0.0, 0.9, 0.0, 0.5]))
    assert [str(archive.population[place]) for place in range(2)] == [INPUT_ALONE, MODULE_1_ALONE]
    assert archive.turns.tolist() == [[4, 3, 0]]


def _community(**settings):
    rules = {"selection": Selection(rule="record"), "decoding": SPARSE, "frontier": RULE, **settings}
    return RecordCommunity(StagedLayout(2), ["a", "b"], seed=1, **rules)


def _play(one, rounds):
    done = []
    for number in range(rounds):
        for place in range(one.size):
            one.record.add(np.arange(2), np.full(2, place), np.array([True, False]), np.array([1.0, number]))
        one.record.add(np.arange(2), one.size + one.archive.acting(one.rounds), np.array([True, False]), np.zeros(2))
        done.append(one.step())
    return done


def test_a_community_settles_genotypes_of_different_routes_at_the_price_of_their_modules():
    one = _community()
    told = [task for done in _play(one, 30) for task in done.settled]
    assert {0, 1} == set(told)
    archive = one.archive
    for task in range(2):
        rows = task * archive.places + np.flatnonzero(archive.settled[task])
        settled = archive.population[rows]
        assert len(set(one.routes(settled))) == len(rows)
        assert archive.prices[task, archive.settled[task]].tolist() == one._effective(settled).tolist()


def test_a_frontier_begins_with_the_elites_strongest_module_or_with_the_elite():
    for first_trial, most in (("module", 1), ("elite", 3)):
        one = _community(frontier=Frontier(size=2, first_trial=first_trial), start="random")
        trials = one.archive.population[one.archive.places - 1 :: one.archive.places]
        assert max(one._effective(trials)) <= most
        assert (_routes(trials) == _routes(one.population[:: one.size])) == (first_trial == "elite")


def test_a_community_with_frontiers_goes_on_bit_for_bit(tmp_path):
    one = _community()
    _play(one, 9)
    save(tmp_path / "state.npz", one.state_dict())
    other = RecordCommunity.from_state(load(tmp_path / "state.npz"))
    for community in (one, other):
        _play(community, 9)
    assert np.array_equal(one.archive.population.words, other.archive.population.words)
    assert np.array_equal(one.archive.prices, other.archive.prices, equal_nan=True)
    assert np.array_equal(one.record.successes, other.record.successes)


def test_a_state_without_prices_and_turns_is_read_and_the_next_trial_finds_them():
    one = _community()
    _play(one, 9)
    state = one.state_dict()
    del state["archive"]["prices"], state["archive"]["turns"]
    other = RecordCommunity.from_state(state)
    assert np.isnan(other.archive.prices).all()
    _play(other, 2)
    assert not np.isnan(other.archive.prices[other.archive.settled]).any()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("prices", np.zeros((2, 2)), r"prices must be of shape \(2, 3\)"),
        ("prices", np.full((2, 3), np.inf), "a price of the frontier is infinite"),
        ("settled", np.zeros((2, 3)), "settled must be an array of bool"),
        ("turns", np.zeros((2, 3)), "turns must be an array of int64"),
        ("turns", np.full((2, 3), -1), "turns of the frontier must be at least 0"),
    ],
)
def test_an_archive_that_does_not_fit_is_refused_by_name(name, value, message):
    state = _community().state_dict()
    state["archive"][name] = value
    with pytest.raises(ValueError, match=message):
        RecordCommunity.from_state(state)


def test_a_genotype_of_a_stage_that_the_community_cannot_have_is_refused():
    state = _community().state_dict()
    state["archive"]["population"] = population_state(Population.from_genotypes([Genotype("0" * 270)] * 6))
    with pytest.raises(
        ValueError, match="stage of a frontier's genotype must be a whole number from 1 to 10, got 15"
    ):
        RecordCommunity.from_state(state)
