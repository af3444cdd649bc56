import numpy as np
import pytest
import torch

from genoevo import Population
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.evolution.surrogate import Surrogate
from genoevo_mega.training.build import make_agent
from tests.mega.test_sac import SUITE


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_the_score_of_a_candidate_is_its_mean_value_on_the_states_that_all_candidates_see(kind):
    settings = {"genotypes": {"start_stage": 4, "precision": 1}, "decoding": {"kind": kind}}
    config = build_config(preset("smoke"), settings)
    agent = make_agent(config, SUITE)
    evolver = Evolver.fresh(config.evolution, list(SUITE.names), 1)
    store, of_critics = evolver._store, evolver.elite_routing()
    layout = evolver.community.layout
    candidates = Population.random(6, layout.length(4), np.random.default_rng(2))
    states = torch.randn(2, 5, SUITE.observation_size, generator=torch.Generator().manual_seed(3))
    score = Surrogate(store, states, lambda rows, routing: agent.values(rows, routing, of_critics))
    found = score(candidates, np.repeat([0, 1], 3))
    assert (found.shape, found.dtype) == ((6,), np.float64)
    assert len(set(found.tolist())) == 6
    for place in range(3):  # one candidate of each task
        alone = store.routing_of(candidates[[place, 3 + place]])
        expected = agent.values(states, alone, of_critics).mean(1)
        assert found[[place, 3 + place]] == pytest.approx(expected.numpy(), rel=1e-5)
