"""The sizes of a run: what is trained, and what the policy of one task takes when it is deployed.

Reading them runs no code of the user's own. What such code alone knows is in ``run.json``, written at the start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field

from genoevo_mega.agents.sizing import make_network, network_shapes, sizes
from genoevo_mega.config.code import is_code
from genoevo_mega.config.run import Config
from genoevo_mega.envs.custom import is_other
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.suite import Suite
from genoevo_mega.evolution.structure import Structure
from genoevo_mega.networks import FixedNetwork, InputMap, Routing
from genoevo_mega.networks.module_graph import THRESHOLD, ModuleGraph
from genoevo_mega.networks.single_task import FixedPolicy, TaskPolicy
from genoevo_mega.training.memory_check import check_memory
from genoevo_runs import files
from genoevo_runs.errors import ConfigError, UserError
from genoevo_runs.manifest import Count, Record, parse
from genoevo_runs.rundir import ORIGIN

Size = Annotated[int, Field(ge=1, le=10**9)]


class PolicySize(Record):
    """Parameters, and multiply-adds for one action, of a task's exported policy; means if tasks differ."""

    parameters: Annotated[float, Field(ge=0)]
    multiply_adds: Annotated[float, Field(ge=0)]


class StartSizes(Record):
    """The entry ``sizes`` of ``run.json``: the suite's sizes, and parameters of actor and each critic at the start.

    ``policy`` is null if genotypes decide it, or if one task's policy cannot be taken from the network.
    """

    observation_size: Size
    action_size: Size
    actor: Count
    critic: Count
    policy: PolicySize | None


class Spaces(NamedTuple):
    """The part of a suite that sizes depend on."""

    names: list[str]
    observation_size: int
    action_size: int


def at_start(config: Config, suite: Suite) -> StartSizes:
    """Return the sizes of a new run, and so of every run whose networks do not grow."""
    actor, critic = sizes(config, suite).parameters
    return StartSizes(
        observation_size=suite.observation_size,
        action_size=suite.action_size,
        actor=actor,
        critic=critic,
        policy=None if config.architecture == "mega" else _fixed(config, suite),
    )


def policy_at_start(config: Config, suite: Suite, structure: Structure) -> PolicySize | None:
    """Return what an export of a new run would write; *structure* is the run's. None as in :class:`StartSizes`."""
    if config.architecture == "mega":
        return of_elites(config, suite, structure.elite_routing())
    return _fixed(config, suite)


def of_run(
    directory: Path, origin: dict[str, Any], config: Config, parameters: dict[str, int], structure: Structure
) -> dict[str, Any]:
    """Return the sizes of a run as JSON values: ``actor``, ``critic`` (each of the two) and ``policy``.

    *origin* is the content of its ``run.json``; *parameters* and *structure* are the checkpoint's. Actor and critic
    have their parameters ``at_start`` and ``now``. ``policy`` has ``parameters`` and ``multiply_adds``, means over
    tasks. What only the user's own code knows is null in runs of earlier versions.
    """
    start = _start(directory, origin, config)
    now = {"actor": parameters["actor"], "critic": parameters["critics"] // 2}
    policy = start and start.policy
    if start and config.architecture == "mega":
        spaces = Spaces(structure.tasks, start.observation_size, start.action_size)
        policy = of_elites(config, spaces, structure.elite_routing())
    return {
        **{name: {"at_start": start and getattr(start, name), "now": count} for name, count in now.items()},
        "policy": policy and policy.model_dump(),
    }


def spaces(directory: Path, origin: dict[str, Any], config: Config, tasks: list[str]) -> Spaces | None:
    """Return the part of a run's suite that sizes depend on; None if only the user's own code knows it."""
    start = _start(directory, origin, config)
    return start and Spaces(tasks, start.observation_size, start.action_size)


def of_elites(config: Config, suite: Suite | Spaces, elites: Routing) -> PolicySize | None:
    """Return the mean over tasks of what :func:`~genoevo_mega.policies.export.export_tasks` would write for MEGA.

    None if the config's networks are too large for this machine.
    """
    try:
        check_memory(config, suite)
    except ConfigError:
        return None
    genotypes = config.genotypes.model_copy(update={"start_stage": max(elites.stages)})
    settings, _ = sizes(config, suite).settings
    # What is read beside the observation becomes part of the first layer.
    tasks, shape = len(suite.names), (suite.observation_size, 2 * suite.action_size)
    found = []
    with torch.device("meta"):  # shapes without numbers
        grown = config.model_copy(update={"genotypes": genotypes})
        network = make_network(grown, settings, tasks, shape, 1, torch.Generator("cpu"))
    for task in range(tasks):
        graph = ModuleGraph.of_task(elites, task, THRESHOLD)
        policy = TaskPolicy(network, task, graph, suite.action_size, squash=True)
        found.append((policy.parameter_count, policy.multiply_adds))
    parameters, multiply_adds = (sum(each) / tasks for each in zip(*found, strict=True))
    return PolicySize(parameters=parameters, multiply_adds=multiply_adds)


def _fixed(config: Config, suite: Suite) -> PolicySize | None:
    """Return the size of any task's policy: those of a network without genotypes are of one size."""
    settings, _ = sizes(config, suite).settings
    # A custom network may need numbers.
    with torch.device("cpu" if is_code(config.architecture) else "meta"):
        shape, size = network_shapes(config, suite)[0], suite.observation_size
        network = make_network(config, settings, len(suite.names), shape, 1, torch.Generator("cpu"))
        if not isinstance(network, FixedNetwork):
            return None
        try:
            policy = FixedPolicy(network, 0, size, suite.action_size, squash=True, ahead=_ahead(config, size))
        except UserError:
            return None
        return PolicySize(parameters=policy.parameter_count, multiply_adds=policy.multiply_adds)


def _ahead(config: Config, observation_size: int) -> InputMap | None:
    """Return an input map of the right size."""
    embedding, scaled = config.critic.task_embedding, config.normalise.observations
    if not (embedding or scaled):
        return None
    mean, scale, constants = (torch.zeros(size) for size in (observation_size, observation_size, embedding))
    return InputMap((mean, scale) if scaled else None, constants if embedding else None)


def _start(directory: Path, origin: dict[str, Any], config: Config) -> StartSizes | None:
    if "sizes" in origin:
        with files.reading(directory / ORIGIN):
            return parse(StartSizes, origin["sizes"])
    if is_code(config.architecture) or is_other(config.suite):
        return None
    try:
        suite = make_suite(config)
        check_memory(config, suite)
        return at_start(config, suite)
    except ConfigError:
        return None
