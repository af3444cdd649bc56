import json

import pytest
import torch

from genoevo_mega.agents import gradient_conflict
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.experiments import runs
from genoevo_mega.training.build import make_agent, make_structure
from tests.mega.architectures import random_batch


def test_cosines_are_those_of_known_gradients():
    weights = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(3))]
    first, second = weights
    losses = torch.stack([first[0], 2 * first[0] + 2 * first[1], -first[0] + 0 * second[1], 0 * first[0]])
    half = 0.5**0.5
    expected = [[1, half, -1, 0], [half, 1, -half, 0], [-1, -half, 1, 0], [0, 0, 0, 0]]
    torch.testing.assert_close(gradient_conflict.cosines(losses, weights), torch.tensor(expected))


def test_the_summary_is_the_mean_with_the_others_and_the_share_of_pairs_that_conflict():
    cosine = torch.tensor([[1.0, 0.5, -0.1], [0.5, 1.0, 0.3], [-0.1, 0.3, 1.0]])
    found = gradient_conflict.summary(cosine, ["a", "b", "c"])
    assert found["conflicting"] == pytest.approx(1 / 3)
    assert found["cosine"] == {"a": pytest.approx(0.2), "b": pytest.approx(0.4), "c": pytest.approx(0.1)}


@pytest.mark.parametrize("architecture", ["mega", "soft-modules"])
def test_losses_are_those_of_the_update_and_measuring_disturbs_nothing(architecture, monkeypatch):
    measured, cosines_of = [], gradient_conflict.cosines
    monkeypatch.setattr(gradient_conflict, "cosines", lambda *each: measured.append(each) or cosines_of(*each))
    config = build_config(preset("smoke"), {"architecture": architecture, "match_parameters": 5_000})
    suite = make_suite(config)
    agents = [make_agent(config, suite) for _ in range(2)]
    routing = make_structure(config, list(suite.names), 1).acting_routing()
    batch = random_batch()
    cosines = agents[0].gradient_cosines(batch, routing, routing)
    assert {name: cosine.shape for name, cosine in cosines.items()} == {"critics": (2, 2), "actor": (2, 2)}
    [[of_critics, weights], _] = measured
    losses = [agent.update(batch, routing, routing) for agent in agents]
    torch.testing.assert_close(losses[0]["critic_loss"], of_critics.mean())
    assert weights == list(agents[0].critics.parameters())
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])


def test_a_run_logs_conflict_on_its_interval(tmp_path):
    settings = {
        "steps": 60,
        "environment": {"episode_length": 10, "goals": 2},
        "sac": {"random_steps": 10, "conflict_every": 5},
        "evaluation": {"at_end": False},
        "checkpoints": {"every": 0},
    }
    config = build_config(preset("smoke"), settings)
    trainer = runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    trainer.run(60)
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    found = [record for record in records if record["kind"] == "conflict"]
    assert [record["updates"] for record in found] == list(range(0, trainer.state.agent.updates, 5))
    assert found[-1]["actor"]["cosine"].keys() == set(trainer.suite.names)
    assert all(-1 <= value <= 1 for value in found[-1]["critics"]["cosine"].values())
