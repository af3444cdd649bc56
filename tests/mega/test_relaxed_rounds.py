"""Relaxed codes at the end of a round, in a run's state, and in its settings."""

import numpy as np
import pytest

from genoevo.decode import gene_values
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.evolution.relaxed_codes import RelaxedCodes
from genoevo_runs.errors import ConfigError
from tests.mega.relaxed import codes_of, configured, fresh_evolver, move_codes, play_round

# ------------------------------------------------------------------------------------------------------ writing back


def test_a_round_writes_the_nearest_codes_into_the_genotypes_before_it_chooses_parents():
    settings = {"reproduction": {"crossover_threshold": 0.0, "mutation_threshold": 1.0, "mutation_rate": 0.0}}
    evolver = fresh_evolver(**settings, growth={"patience": 99})
    before = evolver.community.genes()
    move_codes(evolver, 0.6)
    nearest = np.minimum(before + 1, 3)
    assert np.array_equal(evolver._relaxed.nearest()[:, : before.shape[1]], nearest)
    outcome = play_round(evolver)
    after = {tuple(row) for row in evolver.community.genes().tolist()}
    assert after <= {tuple(row) for row in nearest.tolist()}  # children are clones of what was written
    changed = (nearest != before).reshape(2, -1).sum(axis=1).tolist()
    assert outcome.descent["rewritten"] == dict(zip(["point", "car"], changed, strict=True))


def test_less_than_half_a_code_changes_no_bit_and_is_not_lost_for_the_survivor():
    evolver = fresh_evolver(growth={"patience": 99})
    elites = [str(evolver.community.population[row]) for row in (1, 5)]
    move_codes(evolver, 0.4)
    trained = codes_of(evolver)
    outcome = play_round(evolver)
    assert sum(outcome.descent["rewritten"].values()) == 0
    assert [str(evolver.community.population[row]) for row in (0, 3)] == elites
    assert np.array_equal(codes_of(evolver)[[0, 3]], trained[[1, 5]])


def test_children_start_from_their_codes_and_survivors_keep_adams_state():
    evolver = fresh_evolver(growth={"patience": 99})
    for rows in ([1, 5], [1, 5], [0, 3]):
        evolver._relaxed.routing(np.array(rows)).output[:, 0, :2].square().sum().backward()
        evolver.step_relaxed_codes()
    before = evolver.state_arrays()
    play_round(evolver)
    after = evolver.state_arrays()
    assert after["relaxed_steps"].tolist() == [2, 0, 0, 2, 0, 0]
    for name in ("relaxed_mean", "relaxed_square"):
        assert np.array_equal(after[name][[0, 3]], before[name][[1, 5]])
        assert (after[name][[1, 2, 4, 5]] == 0).all()
    genes = evolver.community.genes()
    assert np.array_equal(after["relaxed_codes"][[1, 2, 4, 5], : genes.shape[1]], genes[[1, 2, 4, 5]])


def test_an_elite_that_gradient_steps_have_changed_is_on_record():
    evolver = fresh_evolver(growth={"patience": 99})
    first = ((1, 1), (0, 0), (0, 0))  # the first genotype of each task stays in its place
    play_round(evolver, first)
    assert play_round(evolver, first).descent["elite"] == {}
    code = evolver._relaxed._codes[0].data
    code[0] = 3 - code[0].round()
    assert play_round(evolver, first).descent["elite"] == {"point": str(evolver.community.population[0])}


def test_a_task_that_grows_starts_anew_from_its_codes():
    evolver = fresh_evolver()
    play_round(evolver, ((1, 0), (1, 0), (1, 0)))
    move_codes(evolver, 0.3)
    trained = codes_of(evolver)
    outcome = play_round(evolver, ((1, 0), (1, 0), (1, 0)))
    assert outcome.grown == [1]
    codes, genes = codes_of(evolver), evolver.community.genes()
    assert np.array_equal(codes[0], trained[0])
    assert np.array_equal(codes[3:, : genes.shape[1]], genes[3:])
    assert (codes[3:, genes.shape[1] :] == 0).all()


def test_a_task_that_goes_back_starts_anew_from_the_codes_it_went_back_to():
    evolver = fresh_evolver(genotypes={"rollback": 0.3}, growth={"patience": 99})
    play_round(evolver, ((1, 1), (1, 1), (1, 1)))
    move_codes(evolver, 0.3)
    outcome = play_round(evolver, ((1, 0), (1, 0), (1, 0)))
    assert outcome.restored == [1]
    genes = evolver.community.genes()
    assert np.array_equal(codes_of(evolver)[3:, : genes.shape[1]], genes[3:])


def test_without_evolution_every_genotype_keeps_its_relaxed_codes():
    evolver = fresh_evolver(genotypes={"evolve": False}, growth={"patience": 99})
    for row, code in enumerate(evolver._relaxed._codes):
        code.data.add_(row / 20).clamp_(0, 3)
    before = codes_of(evolver)
    play_round(evolver)
    assert np.array_equal(codes_of(evolver), before[[1, 0, 2, 5, 3, 4]])
    assert np.array_equal(evolver.community.genes(), gene_values(evolver.community.population, 2))


# ------------------------------------------------------------------------------------------------ state and settings


def test_state_round_trip():
    first = fresh_evolver()
    for rows in ([1, 5], [0, 3]):
        first._relaxed.routing(np.array(rows)).output[:, 0, 0].sum().backward()
        first.step_relaxed_codes()
    second = Evolver(first.community, configured().genotypes)
    second.load_arrays({name: array.copy() for name, array in first.state_arrays().items()})
    for each in (first, second):
        each._relaxed.routing(np.array([1, 4])).output[:, 0, 1].sum().backward()
        each.step_relaxed_codes()
    assert all(np.array_equal(a, second.state_arrays()[name]) for name, a in first.state_arrays().items())


def test_a_run_that_was_begun_without_gradient_steps_starts_from_its_codes():
    plain = fresh_evolver(genotypes={"hybrid_rate": None})
    play_round(plain)
    hybrid = Evolver(plain.community, configured().genotypes)
    hybrid.load_arrays(plain.state_arrays())
    genes = plain.community.genes()
    assert np.array_equal(codes_of(hybrid)[:, : genes.shape[1]], genes)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("relaxed_codes", 3.5, "relaxed codes must be from 0 to 3"),
        ("relaxed_codes", np.nan, "relaxed_codes is not finite"),
        ("relaxed_steps", -1, "steps and squares at least 0"),
        ("relaxed_square", -1.0, "steps and squares at least 0"),
    ],
)
def test_damaged_relaxed_codes_are_refused(name, value, message):
    evolver = fresh_evolver()
    arrays = {key: array.copy() for key, array in evolver.state_arrays().items()}
    arrays[name].flat[0] = value
    with pytest.raises(ValueError, match=message):
        evolver.load_arrays(arrays)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "mtsac"}, "hybrid_rate = 0.1: must be null for architecture = 'mtsac'"),
        ({"genotypes": {"update_with": "stored"}}, "hybrid_rate = 0.1: must be null for genotypes.update_with = 'st"),
        ({"decoding": {"kind": "gates"}}, "hybrid_rate = 0.1: must be null for decoding.kind = 'gates'"),
        ({"genotypes": {"hybrid_rate": 0}}, "genotypes.hybrid_rate = 0"),
    ],
)
def test_settings_that_leave_nothing_to_train_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        configured(**settings)


def test_a_pool_of_one_module_has_weights_to_train():
    evolver = fresh_evolver(genotypes={"start_stage": 1}, growth={"max_modules": 1})
    routing = RelaxedCodes(evolver.community, 0.1).routing(np.array([0, 3]))
    assert (routing.inputs.shape, routing.output.shape) == ((2, 1, 1, 1), (2, 1, 2))
