import numpy as np
import pytest
import torch

from genoevo.decode import decode
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.episodes import FinishedEpisodes
from genoevo_mega.evolution.evolver import Evolver

NAMES = ["a", "b"]


def _evolver(**genotypes):
    settings = {"genotypes": {"population_size": 3, "start_stage": 3, **genotypes}, "growth": {"max_modules": 5}}
    return Evolver.fresh(build_config(preset("smoke"), settings).evolution, NAMES, seed=2)


def _end(evolver, successes, tasks=(0, 1)):
    mask = np.isin(np.arange(2), tasks)
    evolver.record_episodes(
        FinishedEpisodes(mask, np.array(tasks), np.arange(len(tasks), dtype=float), np.array(successes))
    )
    evolver.start_episodes(np.array(tasks))


def test_genotypes_drive_in_turn():
    evolver = _evolver()
    driving = []
    for _ in range(4):
        driving.append(evolver.acting_genotype.tolist())
        _end(evolver, [True, False])
    assert driving == [[0, 0], [1, 1], [2, 2], [0, 0]]


def test_an_episode_is_credited_to_the_genotype_that_drove_it():
    evolver = _evolver()
    _end(evolver, [False, False])
    _end(evolver, [True, False])
    assert evolver.statistics.successes.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert evolver.statistics.returns.tolist() == [[0, 0, 0], [1, 1, 0]]


def test_a_round_is_due_when_every_genotype_of_every_task_has_driven_its_episodes():
    evolver = _evolver(episodes=2)
    for _ in range(5):
        _end(evolver, [True, True])
    _end(evolver, [True], tasks=(0,))
    assert not evolver.due
    _end(evolver, [True], tasks=(1,))
    assert evolver.due


def test_a_round_reports_success_and_starts_the_counts_anew():
    evolver = _evolver()
    for successes in ([True, False], [True, False], [False, False]):
        _end(evolver, successes)
    outcome = evolver.end_round()
    np.testing.assert_allclose(outcome.success, [2 / 3, 0])
    assert evolver.statistics.episodes.sum() == evolver.acting_genotype.sum() == 0


def test_an_episode_that_a_round_cut_in_two_counts_for_no_generation():
    evolver = _evolver()
    for _ in range(3):
        _end(evolver, [True, True])
    evolver.end_round(np.array([False, True]))
    _end(evolver, [True, True])
    assert evolver.statistics.episodes.tolist() == [[1, 0, 0], [0, 0, 0]]
    assert evolver.acting_genotype.tolist() == [1, 0]
    _end(evolver, [True], tasks=(1,))
    assert evolver.statistics.successes.tolist() == [[1, 0, 0], [1, 0, 0]]


def test_an_episode_begun_anew_in_place_of_one_that_a_round_cut_in_two_counts():
    evolver = _evolver()
    for _ in range(3):
        _end(evolver, [True, True])
    evolver.end_round(np.array([True, True]))
    evolver.start_episodes(np.array([1]))  # that under way was lost with its worker
    _end(evolver, [True, True])
    assert evolver.statistics.episodes.tolist() == [[0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("driving", [0, 2])
def test_acting_weights_are_those_the_engine_decodes(driving):
    evolver = _evolver()
    evolver.acting_genotype[:] = driving
    routing = evolver.acting_routing()
    for task in range(2):
        *modules, output = decode(evolver.community.of(task)[driving], evolver.community.layout)
        for k, weights in enumerate(modules, 2):
            np.testing.assert_allclose(routing.inputs[task, 0, k - 2, :k], weights, rtol=1e-6)
            assert routing.inputs[task, 0, k - 2, k:].abs().max() == 0
        np.testing.assert_allclose(routing.output[task, 0, :4], output, rtol=1e-6)
        assert routing.output[task, 0, 4:].abs().max() == 0
    assert routing.stages == (3, 3)


def test_elite_updates_use_the_first_genotype():
    evolver = _evolver(update_with="elite")
    routing = evolver.update_routing(torch.zeros(2, 4, dtype=torch.int64), np.random.default_rng(0))
    assert torch.equal(routing.output, evolver.elite_routing().output)


def test_sampled_updates_use_every_genotype_of_the_population():
    evolver, rng = _evolver(update_with="sample"), np.random.default_rng(0)
    population = {tuple(evolver._store.routing(np.array([[i], [i + 3]])).output[0, 0].tolist()) for i in range(3)}
    stored = torch.zeros(2, 4, dtype=torch.int64)
    drawn = {tuple(evolver.update_routing(stored, rng).output[0, 0].tolist()) for _ in range(60)}
    assert drawn == population


def test_stored_updates_use_the_genotype_that_made_each_transition_even_after_rounds_and_growth():
    evolver = _evolver(update_with="stored")
    evolver.community.growth = build_config({"growth": {"patience": 1, "warmup_rounds": 1, "max_modules": 5}}).growth
    seen = []
    for _ in range(4):
        for _ in range(3):
            seen.append((evolver.genotype_ids(), evolver.acting_routing().output[:, 0].clone()))
            _end(evolver, [False, False])
        evolver.end_round()
    assert evolver.community.stages.max() > 3
    ids = torch.from_numpy(np.stack([numbers for numbers, _ in seen], axis=1))
    routing = evolver.update_routing(ids, np.random.default_rng(0))
    assert torch.equal(routing.output, torch.stack([output for _, output in seen], dim=1))


@pytest.mark.parametrize("update_with", ["sample", "stored"])
def test_state_round_trip(update_with):
    first = _evolver(update_with=update_with)
    for _ in range(4):
        _end(first, [True, False])
    first.end_round()
    _end(first, [True, True])
    second = Evolver(
        first.community, build_config(preset("smoke"), {"genotypes": {"update_with": update_with}}).genotypes
    )
    second.load_arrays({name: array.copy() for name, array in first.state_arrays().items()})
    assert second.genotype_ids().tolist() == first.genotype_ids().tolist()
    assert torch.equal(second.acting_routing().output, first.acting_routing().output)
    assert all(np.array_equal(a, second.state_arrays()[name]) for name, a in first.state_arrays().items())


@pytest.mark.parametrize("setting", ["genotype", "elite", "uniform"])
def test_critics_follow_the_genotype_of_the_update_the_elite_or_nobody(setting):
    evolver = _evolver(critic_routing=setting)
    trained = evolver.population_routing(2)
    found = evolver.critic_routing(trained)
    if setting == "uniform":
        for k in (2, 3):
            assert found.inputs[:, 0, k - 2, :k].tolist() == [[pytest.approx(1 / k)] * k] * 2
            assert found.inputs[:, 0, k - 2, k:].abs().max() == 0
        assert found.output[:, 0, :4].tolist() == [[0.25] * 4] * 2
        assert found.stages == (3, 3)
    else:
        expected = trained if setting == "genotype" else evolver.elite_routing()
        assert torch.equal(found.output, expected.output)
        assert not torch.equal(trained.output, evolver.elite_routing().output)
