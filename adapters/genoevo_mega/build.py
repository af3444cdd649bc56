"""From a config to the parts of a run."""

from __future__ import annotations

import torch

from genoevo_mega.config import Config
from genoevo_mega.networks import ModularNetwork
from genoevo_mega.sac import Agent
from genoevo_mega.tasks import MetaWorldSuite, Suite, metaworld_names

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def make_suite(config: Config) -> Suite:
    """The config's tasks."""
    environment = config.environment
    return MetaWorldSuite(metaworld_names(config.suite), config.seed, environment.goals, environment.reward_version)


def make_agent(config: Config, suite: Suite) -> Agent:
    """A fresh agent with the start stage's modules, its weights drawn from the config's seed."""
    rng = torch.Generator().manual_seed(config.seed)

    def network(inputs: int, outputs: int, ensemble: int) -> ModularNetwork:
        return ModularNetwork(
            inputs,
            outputs,
            tasks=len(suite.names),
            modules=config.genotypes.start_stage,
            ensemble=ensemble,
            config=config.network,
            rng=rng,
            precision=PRECISIONS[config.sac.precision],
        )

    return Agent(network, suite.observation_size, suite.action_size, len(suite.names), config.sac, rng)
