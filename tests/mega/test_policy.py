import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import genoevo
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.experiments import runs
from genoevo_mega.networks.module_graph import ModuleGraph
from genoevo_mega.networks.single_task import TaskPolicy
from genoevo_mega.policies import policy
from genoevo_mega.policies.policy import Trained
from genoevo_runs.errors import UserError


@pytest.fixture(scope="module")
def trained(untrained):
    return untrained("smoke", 4, genotypes={"start_stage": 4, "precision": 3})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("policy") / "run"
    runs.create(directory, build_config(preset("smoke"), {"evaluation": {"at_end": False}}), [], print).run(60)
    return directory


def _observations(trained, batch=32, seed=0):
    return torch.randn(
        len(trained.suite.names),
        batch,
        trained.suite.observation_size,
        generator=torch.Generator().manual_seed(seed),
    )


def test_a_tasks_policy_computes_what_the_network_of_all_tasks_does(trained):
    observations, size = _observations(trained), trained.suite.action_size
    expected = trained.greedy(observations)
    for task in range(2):
        alone = TaskPolicy(
            trained.agent.actor_ema, task, ModuleGraph.of_task(trained.routing, task), size, squash=True
        )
        assert torch.allclose(alone(observations[task]), expected[task], atol=1e-6)
    assert not torch.allclose(expected[0], expected[1], atol=1e-3)


def test_a_tasks_policy_of_the_other_architectures_is_their_network_too(fixed):
    observations = _observations(fixed)
    expected = fixed.agent.actor(observations, fixed.routing)[0]
    loaded = policy.Policy(fixed)
    for task in range(2):
        assert torch.allclose(fixed.policy(task)(observations[task]), fixed.greedy(observations)[task], atol=1e-6)
        assert torch.allclose(fixed.policy(task, greedy=False)(observations[task]), expected[task], atol=1e-5)
        actions, _ = loaded.predict(observations[task].numpy(), task)
        assert actions == pytest.approx(fixed.greedy(observations)[task].numpy(), abs=1e-6)


def test_shares_of_a_graph_are_those_of_the_engine(trained):
    from genoevo.decode import output_shares, stages_of

    community = Evolver.fresh(trained.config.evolution, list(trained.suite.names), trained.config.seed).community
    shares = output_shares(community.weights(), stages_of(community.population, community.layout))
    own = ModuleGraph.of_task(trained.routing, 1).shares()
    assert [own[k] for k in range(5)] == pytest.approx(shares[community.size].tolist(), abs=1e-6)


def test_a_module_with_no_path_of_weight_to_the_output_is_cut_and_what_feeds_it_alone(trained):
    inputs, output = torch.zeros(1, 1, 3, 4), torch.tensor([[[0.5, 0.5, 0.0, 0.0, 0.0]]])
    inputs[0, 0, 0, :2] = 0.5
    inputs[0, 0, 1, :3] = 1 / 3
    inputs[0, 0, 2, :4] = 1 / 4
    graph = ModuleGraph.of_task(trained.routing._replace(inputs=inputs, output=output, stages=(4,)), 0)
    assert graph == ModuleGraph({1: {0: 1.0}}, {0: 0.5, 1: 0.5})


def test_a_path_is_as_strong_as_the_product_of_its_weights(trained):
    inputs, output = torch.zeros(1, 1, 3, 4), torch.tensor([[[0.0, 0.5, 0.5, 0.0, 0.0]]])
    inputs[0, 0, 0, :2] = torch.tensor([0.99, 0.01])
    routing = trained.routing._replace(inputs=inputs, output=output, stages=(2,))
    assert list(ModuleGraph.of_task(routing, 0, 0.004).inputs[2]) == [0, 1]
    assert list(ModuleGraph.of_task(routing, 0, 0.006).inputs[2]) == [0]


def test_predict_is_the_greedy_action_for_one_observation_and_for_a_batch(run):
    loaded, trained = policy.load_policy(run), Trained.of_run(run)
    observations = _observations(trained)
    expected = trained.greedy(observations)[1].numpy()
    one, state = loaded.predict(observations[1, 0].numpy(), "drawer-close-v3")
    many, _ = loaded.predict(observations[1].numpy(), 1)
    assert state is None
    assert one == pytest.approx(expected[0], abs=1e-6)
    assert many == pytest.approx(expected, abs=1e-6)
    assert many.dtype == np.float32


def test_a_run_of_another_architecture_is_loaded(tmp_path):
    config = build_config(preset("smoke"), {"architecture": "paco", "evaluation": {"at_end": False}})
    runs.create(tmp_path / "run", config, [], print).run(60)
    trained = Trained.of_run(tmp_path / "run")
    observations = _observations(trained)
    actions, _ = genoevo.load_policy(tmp_path / "run").predict(observations[1].numpy(), "drawer-close-v3")
    assert actions == pytest.approx(trained.greedy(observations)[1].numpy(), abs=1e-5)


def test_drawn_actions_differ_from_call_to_call_and_come_from_the_seed(run):
    observation = np.zeros(39)
    first, second = (policy.load_policy(run, seed=4) for _ in range(2))
    draws = [first.predict(observation, 0, deterministic=False)[0] for _ in range(3)]
    again = [second.predict(observation, 0, deterministic=False)[0] for _ in range(3)]
    assert np.array_equal(draws, again)
    assert not np.array_equal(draws[0], draws[1])
    assert np.abs(draws).max() <= 1


def test_drawn_actions_have_the_settings_least_standard_deviation(untrained):
    trained = untrained("smoke", 4, sac={"log_std_min": 1.9})
    loaded = policy.Policy(trained, seed=4)
    mean = np.arctanh(loaded.predict(np.zeros(39), 0)[0])
    drawn = loaded.predict(np.zeros(39), 0, deterministic=False)[0]
    noise = np.random.default_rng(4).standard_normal((1, 4), np.float32)[0]
    assert drawn == pytest.approx(np.tanh(mean + np.exp(1.9) * noise), abs=1e-5)


@pytest.mark.parametrize(
    ("observation", "task", "message"),
    [
        (np.zeros(39), "reech-v3", "did you mean reach-v3"),
        (np.zeros(39), 2, "got 2"),
        (np.zeros(38), 0, r"\(39,\) or \(batch, 39\), got \(38,\)"),
        (np.zeros((1, 2, 39)), 0, r"got \(1, 2, 39\)"),
        (np.full(39, np.nan), 0, "finite"),
    ],
)
def test_predict_names_what_is_wrong(run, observation, task, message):
    with pytest.raises(ValueError, match=message):
        policy.load_policy(run).predict(observation, task)


def test_a_directory_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match="is not a run directory"):
        policy.load_policy(tmp_path)


def test_the_engine_finds_the_loader_by_the_runs_format(run):
    loaded = genoevo.load_policy(run, seed=1)
    assert loaded.tasks == ("reach-v3", "drawer-close-v3")
    assert loaded.predict(np.zeros(39), "reach-v3")[0].shape == (4,)


def test_the_engine_names_a_format_that_nothing_reads(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(ModuleNotFoundError, match="'other', which no installed package reads"):
        genoevo.load_policy(tmp_path)


def test_the_engine_loads_no_torch_before_a_policy_is_asked_for():
    code = "import sys, genoevo; assert genoevo.load_policy and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
