"""Scores of candidates without episodes: the critics' values of their actions on recent states."""

import numpy as np
import pytest
import torch

from genoevo.decode import decode_population, stages_of
from genoevo.population import Population
from genoevo_mega.agents.replay import Replay
from genoevo_mega.envs.transition import Transition
from genoevo_mega.evolution.genotype_store import routing_weights
from genoevo_mega.evolution.round_records import rank_correlation
from genoevo_mega.experiments import runs
from genoevo_mega.networks import Routing
from genoevo_mega.training.errors import DivergedError
from genoevo_mega.training.evolving import judge, recent_observations
from tests.mega.records import begun, train

pytestmark = pytest.mark.usefixtures("quick_runs")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run after some rounds."""
    return train(tmp_path_factory.mktemp("surrogate") / "run", until=400)


def candidates(evolver, each=4, seed=3):
    """Genotypes of each task's stage, task after task, and their tasks."""
    lengths = evolver.community.population.lengths[:: evolver.community.size]
    population = Population.random(2 * each, np.repeat(lengths, each), np.random.default_rng(seed))
    return population, np.repeat([0, 1], each)


def routing_of(evolver, genotype):
    """The routing in which every task has *genotype*."""
    community, one = evolver.community, Population.from_genotypes([genotype])
    stages = stages_of(one, community.layout)
    weights = decode_population(one, community.layout, kind="sparse")
    inputs, output = map(torch.from_numpy, routing_weights(weights, stages, community.growth.max_modules))
    return Routing(inputs[None].repeat(2, 1, 1, 1), output[None].repeat(2, 1, 1), tuple(stages.tolist()) * 2)


# --- scores


def test_a_score_is_the_mean_of_the_critics_values_of_the_candidates_actions(trained):
    state, generator = trained.state, torch.Generator().manual_seed(5)
    observations = torch.randn(2, 7, trained.suite.observation_size, generator=generator)
    population, tasks = candidates(state.evolver)
    elites = state.evolver.elite_routing()
    scores = state.evolver.surrogate(observations, lambda x, routing: state.agent.values(x, routing, elites))(
        population, tasks
    )
    assert scores.dtype == np.float64
    for genotype, task, score in zip(population, tasks, scores, strict=True):
        values = state.agent.values(observations, routing_of(state.evolver, genotype), elites)
        assert score == pytest.approx(values[task].mean().item(), rel=1e-4, abs=1e-6)
    assert len(np.unique(scores.round(6))) > 4


def test_all_candidates_of_a_task_are_valued_on_the_same_states_with_their_own_routing(trained):
    evolver, seen = trained.state.evolver, []
    observations = torch.arange(2 * 3 * 5.0).reshape(2, 3, 5)

    def values(rows, routing):
        seen.append((rows, routing))
        return rows.mean(-1) + torch.arange(4).repeat_interleave(3)

    population, tasks = candidates(evolver)
    scores = evolver.surrogate(observations, values)(population, tasks)
    [(rows, routing)] = seen
    for one in rows.reshape(2, 4, 3, 5).unbind(1):
        assert torch.equal(one, observations)
    assert routing.output.shape[:2] == (2, 4)
    expected = observations.mean((1, 2))[:, None] + torch.arange(4)
    assert scores.tolist() == expected.flatten().tolist()


# --- states


def _replay(rows, capacity=40, tasks=2):
    """A replay whose observations are numbers: task * 1000 + step, in one episode that does not end."""
    replay = Replay(tasks, capacity, 1, 1, 1000)
    first = 1000 * np.arange(tasks)[:, None]
    for step in range(rows):
        now, then = ((first + number).astype(np.float32) for number in (step, step + 1))
        none, zeros = np.zeros(tasks, bool), np.zeros(tasks, np.float32)
        replay.add(now, zeros[:, None], Transition(then, zeros, none, none, none), none, np.zeros(tasks, np.int64))
    return replay


@pytest.mark.parametrize(("rows", "newest"), [(1, 1), (3, 1), (20, 5), (39, 10), (100, 10), (85, 10)])
def test_states_come_from_the_newest_quarter_of_each_tasks_rows(rows, newest, rng):
    found = recent_observations(_replay(rows), 400, rng)[..., 0]
    assert found.shape == (2, 400)
    for task in range(2):
        assert set(found[task].tolist()) == {1000.0 * task + step for step in range(rows - newest, rows)}


def test_states_are_drawn_from_the_generator_alone():
    draws = [recent_observations(_replay(30), 8, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.fixture
def rng():
    return np.random.default_rng(1)


# --- the judge of a run


@pytest.mark.parametrize(
    "settings",
    [
        {"candidates": {"surrogate": 0.0}},
        {"candidates": {"children": 0}},
        {"genotypes": {"evolve": False}},
        {"selection": {"rule": "round"}, "candidates": {"children": 0}, "genotypes": {"start": "random"}}
        | {"growth": {"unused_patience": None}},
        {"architecture": "mtsac", "mlp": {"layers": [8]}},
    ],
    ids=["no weight", "no children", "no evolution", "by round", "no genotypes"],
)
def test_without_a_use_for_it_there_is_no_judge_and_nothing_is_drawn(tmp_path, settings):
    trainer = train(tmp_path / "run", settings, until=120)
    assert trainer.state.evolver.surrogate is None
    assert judge(trainer.state, trainer.config) is None
    fresh = begun(tmp_path / "other", settings)
    streams = [each.state.rngs["surrogate"].bit_generator.state for each in (trainer, fresh)]
    assert streams[0] == streams[1]


def test_before_the_first_transition_there_is_no_judge(tmp_path):
    trainer = begun(tmp_path / "run")
    assert judge(trainer.state, trainer.config) is None


def test_the_judge_of_a_run_scores_by_its_critics_on_its_own_recent_states(trained):
    state = trained.state
    stream = np.random.default_rng()
    stream.bit_generator.state = state.rngs["surrogate"].bit_generator.state
    found = judge(state, trained.config)
    population, tasks = candidates(state.evolver)
    observations = recent_observations(state.replay, trained.config.genotypes.surrogate_states, stream)
    assert observations.shape[1] == 6
    for genotype, task, score in zip(population, tasks, found(population, tasks), strict=True):
        routing = routing_of(state.evolver, genotype)
        values = state.agent.values(observations, routing, state.evolver.elite_routing())
        assert score == pytest.approx(values[task].mean().item(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("setting", "expected"), [("genotype", "elite"), ("elite", "elite"), ("uniform", "uniform")])
def test_modular_critics_judge_with_the_routing_that_they_are_trained_with(tmp_path, setting, expected):
    trainer = train(
        tmp_path / "run", {"critic": {"kind": "genotype"}, "genotypes": {"critic_routing": setting}}, until=100
    )
    state, used = trainer.state, []
    state.agent.values = lambda rows, actor, critics: used.append(critics) or torch.zeros(rows.shape[:2])
    judge(state, trainer.config)(*candidates(state.evolver))
    routings = {"elite": state.evolver.elite_routing(), "uniform": state.evolver.critic_routing(None)}
    assert torch.equal(used[0].output, routings[expected].output)


def test_values_that_are_not_finite_end_the_run_in_one_line_and_leave_the_checkpoint(tmp_path):
    trainer = train(tmp_path / "run", until=200)
    digest, steps = runs.info(tmp_path / "run")["digest"], trainer.state.steps
    trainer = runs.resume(tmp_path / "run")
    with torch.no_grad():
        trainer.state.agent.critics.core.flat.fill_(torch.nan)
    with pytest.raises(DivergedError, match=r"values of the critics are no longer finite at step \d+: ") as ended:
        trainer.run(400)
    assert "\n" not in str(ended.value)
    assert trainer.state.steps > steps
    assert runs.info(tmp_path / "run")["digest"] == digest


# --- does it predict later episodes?


def test_the_correlation_is_that_of_ranks_within_tasks():
    scores = np.array([[1.0, 2, 3], [30, 10, 20]])
    age = np.ones((2, 3), int)
    assert rank_correlation(scores, np.array([[7.0, 8, 9], [-1, -3, -2]]), age) == pytest.approx(1)
    assert rank_correlation(scores, -np.exp(scores / 10), age) == pytest.approx(-1)
    # Task 0 agrees, task 1 says the opposite.
    assert rank_correlation(scores, np.array([[7.0, 8, 9], [-3, -1, -2]]), age) == pytest.approx(0)


def test_equal_values_have_the_mean_of_their_ranks():
    found = rank_correlation(np.array([[5.0, 5, 6, 7]]), np.array([[1.0, 2, 3, 4]]), np.ones((1, 4), int))
    assert found == pytest.approx(np.corrcoef([0.5, 0.5, 2, 3], [0, 1, 2, 3])[0, 1])


def test_values_that_are_all_equal_have_no_correlation():
    age = np.ones((1, 3), int)
    assert rank_correlation(np.full((1, 3), 2.0), np.array([[1.0, 2, 3]]), age) is None
    assert rank_correlation(np.full((1, 3), 2.0), np.full((1, 3), 5.0), age) is None


def test_only_genotypes_with_a_score_and_an_episode_count():
    scores, results = np.array([[1.0, 2, 99, np.nan]]), np.array([[5.0, 6, -99, -99]])
    assert rank_correlation(scores, results, np.array([[1, 2, 0, 3]])) == pytest.approx(1)
    assert rank_correlation(scores, results, np.array([[1, 0, 0, 3]])) is None
