"""The parts of a run, made from its config."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import nn

from genoevo_mega.agents.normalisation import Moments, Normaliser, Returns
from genoevo_mega.agents.replay import Replay
from genoevo_mega.agents.sac import SacAgent
from genoevo_mega.agents.sizing import make_critics, make_network, sizes
from genoevo_mega.agents.threads import useful_threads
from genoevo_mega.agents.value import Prediction
from genoevo_mega.config.run import Config
from genoevo_mega.envs.episodes import Episodes
from genoevo_mega.envs.suite import Suite
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.evolution.frontiers import RoutePrice
from genoevo_mega.evolution.static import StaticStructure
from genoevo_mega.evolution.structure import Structure
from genoevo_mega.kernels import KernelsUnavailableError, kernels
from genoevo_mega.networks.module_graph import THRESHOLD
from genoevo_mega.networks.route_cost import multiply_adds
from genoevo_mega.training.state import TrainingState
from genoevo_runs.errors import ConfigError


def make_device(config: Config) -> torch.device:
    """Return the learner's device, set to the config's precision; ConfigError if the device is missing."""
    if config.compute.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("compute.device = 'cuda': must be cpu, because torch finds no CUDA device")
    torch.set_float32_matmul_precision("high" if config.sac.precision == "tf32" else "highest")
    return torch.device(config.compute.device)


def make_replay(config: Config, suite: Suite) -> Replay:
    """Return an empty replay, on the learner's device if it takes at most half of the free memory there."""
    tasks, device = len(suite.names), make_device(config)
    capacity = config.sac.buffer_size // tasks
    row = 4 * (suite.observation_size + suite.action_size)
    if device.type == "cuda" and tasks * capacity * row > torch.cuda.mem_get_info()[0] // 2:
        device = torch.device("cpu")
    sizes = suite.observation_size, suite.action_size
    return Replay(tasks, capacity, *sizes, config.environment.episode_length, device)


def make_agent(config: Config, suite: Suite, kind: type[SacAgent] = SacAgent) -> SacAgent:
    """Return a new agent with the modules of the start stage, its weights drawn from the config's seed.

    *kind* is the agent's class.
    """
    rng = torch.Generator().manual_seed(config.seed)
    of_actor, of_critics = sizes(config, suite).settings
    embedding = config.critic.task_embedding

    def actor(inputs: int, outputs: int, ensemble: int) -> nn.Module:
        return make_network(config, of_actor, len(suite.names), (inputs + embedding, outputs), ensemble, rng)

    def critics(inputs: int, outputs: int, ensemble: int) -> nn.Module:
        return make_critics(config, of_critics, len(suite.names), (inputs + embedding, outputs), ensemble, rng)

    device = make_device(config)
    compute, on_cpu = config.compute, device.type == "cpu"
    compiled = compute.kernels == "compiled" and on_cpu and kernels_or_reason() is None
    at_once = 1 + (compiled and _is_simultaneous(config))
    rows = config.sac.batch_size, compute.smallest_shard
    threads = useful_threads(compute.threads, *rows, at_once=at_once) if on_cpu else 1
    shape = suite.observation_size, suite.action_size, len(suite.names)
    used = getattr(suite, "action_dimensions", None) if config.sac.count_used_actions else None
    agent = kind(
        actor,
        *shape,
        config.sac,
        rng,
        critic_network=critics,
        prediction=Prediction(config.value, device),
        normaliser=make_normaliser(config, suite, device),
        used_actions=used,
        threads=threads,
        device=device,
    )
    if compiled:
        agent.use_kernels()
    return agent


def _is_simultaneous(config: Config) -> bool:
    """Return whether compiled functions can compute the critics' loss beside the actor's."""
    modular = config.architecture == "mega"
    kinds = ("residual", "genotype") if modular and config.network.modules == "residual" else ("residual",)
    critics = config.critic.kind in kinds and config.sac.precision != "bf16"
    several = config.genotypes.update_with == "stored" or config.genotypes.hybrid_rate is not None
    return config.sac.simultaneous and critics and not (modular and several)


def kernels_or_reason() -> str | None:
    """Return why there are no compiled functions, None if there are."""
    try:
        kernels()
    except KernelsUnavailableError as error:
        return str(error)
    return None


def check_kernels(config: Config) -> None:
    """Raise ConfigError if the config asks for compiled functions that cannot be had."""
    if config.compute.kernels == "compiled" and (reason := kernels_or_reason()):
        raise ConfigError(f"compute.kernels = 'compiled': must be torch, because {reason}")


def make_normaliser(config: Config, suite: Suite, device: torch.device) -> Normaliser:
    """Return the running statistics that a config asks for, before the first step."""
    tasks, length = len(suite.names), config.environment.episode_length
    moments = Moments(tasks, suite.observation_size) if config.normalise.observations else None
    returns = Returns(tasks, length, config.sac.gamma) if config.normalise.rewards else None
    return Normaliser(moments, returns, config.value.range, device)


def route_price(config: Config, suite: Suite, threshold: float = THRESHOLD) -> RoutePrice | None:
    """Return what prices routes by the multiply-adds of their exported policies; None for a fixed structure.

    *threshold* is :func:`~genoevo_mega.networks.route_cost.multiply_adds`'s.
    """
    if config.architecture != "mega":
        return None
    actor, _ = sizes(config, suite).settings
    return functools.partial(multiply_adds, actor, suite.observation_size, suite.action_size, threshold=threshold)


def make_structure(config: Config, tasks: list[str], seed: int, price: RoutePrice | None = None) -> Structure:
    """Return what decides which modules each task of a new run uses; *price* is for the frontiers' genotypes."""
    if config.architecture == "mega":
        return Evolver.fresh(config.evolution, tasks, seed, price)
    return StaticStructure(config.genotypes, tasks)


def structure_from_state(
    config: Config, tasks: list[str] | None, state: dict[str, Any], price: RoutePrice | None = None
) -> Structure:
    """Return what decides which modules each task of a run uses, from its ``state_dict``.

    Raises what ``from_state`` of :class:`Evolver` and :class:`StaticStructure` raise.
    """
    if config.architecture == "mega":
        return Evolver.from_state(config.evolution, tasks, state, price)
    return StaticStructure.from_state(config.genotypes, tasks, state)


def make_state(config: Config, suite: Suite) -> TrainingState:
    """Return the state of a new run, drawn from the config's seed."""
    names, length = list(suite.names), config.environment.episode_length
    streams = ("goals", "random_actions", "replay", "update_genotypes", "surrogate")
    seeds = np.random.SeedSequence(config.seed).spawn(len(streams) + 1)
    rngs = {name: np.random.default_rng(seed) for name, seed in zip(streams, seeds[1:], strict=True)}
    return TrainingState(
        evolver=make_structure(config, names, int(seeds[0].generate_state(1)[0]), route_price(config, suite)),
        agent=make_agent(config, suite),
        replay=make_replay(config, suite),
        episodes=Episodes(len(names), length, suite.action_size, suite.goals, rngs["goals"]),
        rngs=rngs,
        success=[None] * len(names),
        masked=None if config.sac.mask_loss_above is None else [0] * len(names),
    )
