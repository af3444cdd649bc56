"""Prices of routes: those of the policies that are made of them."""

import numpy as np
import pytest
import torch

from genoevo import Population, StagedLayout
from genoevo.decode import decode_population, from_gene_values
from genoevo_mega.config.networks import Network
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.evolution.genotype_store import routing_weights
from genoevo_mega.experiments import costs
from genoevo_mega.networks import ModularNetwork, Routing
from genoevo_mega.networks.module_graph import THRESHOLD, ModuleGraph
from genoevo_mega.networks.route_cost import multiply_adds
from genoevo_mega.networks.single_task import TaskPolicy
from genoevo_mega.training.build import make_agent, route_price
from tests.mega.frontiers import FRONTIER

INPUTS, OUTPUTS, MODULES = 6, 3, 7


def _of_policies(config, weights, stages, threshold):
    """What the policies themselves say, made one by one."""
    rng = torch.Generator().manual_seed(0)
    network = ModularNetwork(INPUTS, 2 * OUTPUTS, tasks=1, modules=MODULES, ensemble=1, config=config, rng=rng)
    inputs, output = (torch.from_numpy(x)[:, None] for x in routing_weights(weights, stages, MODULES))
    found = []
    for row, stage in enumerate(stages.tolist()):
        routing = Routing(inputs[row : row + 1], output[row : row + 1], (stage,))
        graph = ModuleGraph.of_task(routing, 0, threshold)
        found.append(TaskPolicy(network, 0, graph, OUTPUTS, squash=True).multiply_adds)
    return found


@pytest.mark.parametrize("kind", ["dense", "sparse", "gates"])
@pytest.mark.parametrize(("precision", "threshold"), [(1, 0.0), (2, 1e-8), (2, 0.05), (3, 0.3)])
def test_the_price_of_a_genotype_is_what_its_policy_computes(kind, precision, threshold):
    rng, layout = np.random.default_rng(precision), StagedLayout(precision)
    stages = rng.integers(1, MODULES + 1, 40)
    population = Population.random(40, np.array([layout.length(int(stage)) for stage in stages]), rng)
    weights = decode_population(population, layout, kind=kind)
    config = Network(width=5, hidden=4, embedding_layers=3, modules="residual")
    found = multiply_adds(config, INPUTS, OUTPUTS, weights, stages, threshold)
    assert found.dtype == np.int64
    assert found.tolist() == _of_policies(config, weights, stages, threshold)
    assert len(set(found.tolist())) > 4


def test_a_genotype_without_modules_costs_the_embedding_and_the_head():
    config, none = Network(width=5, hidden=4, embedding_layers=1), np.array([[1.0, 0.0, 1.0, 0.0, 0.0]])
    assert multiply_adds(config, INPUTS, OUTPUTS, none, np.array([2])).tolist() == [6 * 5 + 5 * 3]


def test_the_price_of_a_genotype_is_what_its_exported_policy_takes():
    config = build_config(preset("smoke"), FRONTIER, {"genotypes": {"precision": 4, "start_stage": 3}})
    suite, layout = make_suite(config), StagedLayout(4)
    # Module 3 has a share of 1e-6 and reads module 2 with a weight of 1e-6: exported policies lack that edge.
    codes = np.array([[15, 0, 15, 0, 1, 0, 15, 0, 1]])
    genotype = from_gene_values(codes, np.array([layout.length(3)]), 4)
    graph = ModuleGraph.of_task(costs.routing_of(config, [str(genotype[0])]), 0, THRESHOLD)
    policy = TaskPolicy(make_agent(config, suite).actor, 0, graph, suite.action_size, squash=True)
    weights = decode_population(genotype, layout, kind="sparse")
    assert list(graph.inputs) == [1, 3]
    assert route_price(config, suite)(weights, np.array([3])).tolist() == [policy.multiply_adds]
