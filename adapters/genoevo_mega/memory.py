"""Whether a run fits the machine, before anything of it is allocated."""

from __future__ import annotations

import os

from genoevo_mega.config import Config
from genoevo_mega.errors import ConfigError
from genoevo_mega.tasks import Suite


def check_memory(config: Config, suite: Suite) -> None:
    """ConfigError where the larger parts of a run ask for more than this machine's memory; it names what asks most.

    A rough count: what it lets pass may still not fit.
    """
    tasks, sac, network, most = len(suite.names), config.sac, config.network, config.growth.max_modules
    inputs = suite.observation_size + suite.action_size
    weights = network.width * (inputs + tasks + network.width * (network.embedding_layers - 1))
    weights += 2 * config.genotypes.start_stage * network.width * network.hidden
    needs = {
        # Floats, a number and two flags of every transition.
        "sac.buffer_size": sac.buffer_size * (4 * (inputs + 2) + 2),
        # Actor and twin critics: weights, gradients, two moments, and one that follows.
        "network.width": 4 * 3 * 5 * weights,
        "sac.batch_size": 4 * tasks * sac.batch_size * network.width * config.genotypes.start_stage,
        "genotypes.population_size": 4 * tasks * config.genotypes.population_size * most * (most + 1),
    }
    has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if sum(needs.values()) > has:
        name = max(needs, key=lambda name: needs[name])
        group, _, setting = name.partition(".")
        value = getattr(getattr(config, group), setting)
        raise ConfigError(
            f"{name} = {value}: asks for {needs[name] / 1e9:.3g} GB at least, this machine has {has / 1e9:.3g}"
        )
