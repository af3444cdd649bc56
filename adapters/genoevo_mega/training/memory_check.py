"""A check whether a run fits into memory, before anything is allocated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from genoevo_mega.agents.sizing import sizes
from genoevo_mega.config.code import is_code
from genoevo_mega.config.run import Config
from genoevo_mega.envs.suite import Suite
from genoevo_mega.networks import ARCHITECTURES
from genoevo_runs.errors import ConfigError, abbreviated

_FLOAT = 4
_PARAMETER = 5 * _FLOAT  # its value, one that follows it, its gradient and Adam's two moments
_NETWORKS = 3  # the actor and two critics


def weights_bytes(config: Config, suite: Suite) -> int:
    """Return the bytes of actor and critics of any architecture, at the start stage.

    Weights, averages and targets, gradients, and the optimizer's moments.
    """
    actor, critic = sizes(config, suite).parameters
    return _PARAMETER * (actor + 2 * critic)


def check_memory(config: Config, suite: Suite) -> None:
    """Raise ConfigError if a run needs more than this machine's memory; it names the setting that needs most.

    A rough count: what it lets pass may still not fit.
    """
    has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # Floats, a number and two flags of every transition.
    transition = _FLOAT * (suite.observation_size + suite.action_size + 2) + 2
    needs = {"sac.buffer_size": config.sac.buffer_size * transition}
    custom = is_code(config.architecture)  # it may be of any size and says so by itself
    for name, least in (*_of_critics(config), *(() if custom else _by_themselves(config))):
        if least > has:
            raise _too_large(config, name, least, has)
    if not custom:
        needs |= _of_network(config, suite)
    if sum(needs.values()) > has:
        name = max(needs, key=lambda name: needs[name])
        raise _too_large(config, name, needs[name], has)


def _of_network(config: Config, suite: Suite) -> dict[str, int]:
    """Return the bytes that the network's weights and its batches need, by setting."""
    tasks, genotypes, group = len(suite.names), config.genotypes, ARCHITECTURES[config.architecture].sizes
    settings = getattr(config, group)
    sized = "match_parameters" if config.match_parameters else f"{group}.{settings.scaled[0]}"
    needs = {sized: _weights(config, suite)}
    batch = _FLOAT * tasks * config.sac.batch_size
    if config.architecture == "mega":
        most = config.growth.max_modules
        needs["sac.batch_size"] = batch * settings.width * genotypes.start_stage
        needs["genotypes.population_size"] = _FLOAT * tasks * genotypes.population_size * most * (most + 1)
    elif not config.match_parameters:
        needs["sac.batch_size"] = batch * sum(_widths(settings))
    return needs


def _weights(config: Config, suite: Suite) -> int:
    try:
        return weights_bytes(config, suite)
    except RuntimeError:  # more than torch can number
        return 2**63


def _widths(settings: Any) -> list[int]:
    values = (getattr(settings, name) for name in settings.scaled)
    return [width for value in values for width in (value if isinstance(value, tuple) else (value,))]


def _by_themselves(config: Config) -> Iterator[tuple[str, int]]:
    """Yield settings of the network and the bytes that each needs alone: some are too large to be counted."""
    group = ARCHITECTURES[config.architecture].sizes
    settings, each = getattr(config, group), _PARAMETER * _NETWORKS
    narrowest = 1 if config.match_parameters else min(_widths(settings))
    for name in settings.repeated:
        yield f"{group}.{name}", each * getattr(settings, name) * narrowest
    if config.architecture == "mega":
        yield "genotypes.start_stage", each * config.genotypes.start_stage * narrowest
    if not config.match_parameters:
        for name in settings.scaled:
            value = getattr(settings, name)
            yield f"{group}.{name}", each * (max(value) if isinstance(value, tuple) else value)


def _of_critics(config: Config) -> Iterator[tuple[str, int]]:
    """Yield what :func:`_by_themselves` does for critics of their own."""
    if config.critic.kind != "genotype":
        residual, width = config.critic.kind == "residual", config.critic.width
        name, layers = ("blocks", 2 * config.critic.blocks) if residual else ("layers", config.critic.layers - 1)
        yield f"critic.{name}", 2 * _PARAMETER * layers
        yield "critic.width", 2 * _PARAMETER * max(1, layers * width) * width


def _too_large(config: Config, name: str, needs: int, has: int) -> ConfigError:
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    shown = value if isinstance(value, tuple) else abbreviated(value)
    return ConfigError(f"{name} = {shown}: asks for {needs / 1e9:.3g} GB at least, this machine has {has / 1e9:.3g}")
