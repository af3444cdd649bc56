"""Networks of a given number of parameters, so that architectures are compared at equal size.

Every width of an architecture (``scaled`` in its group of settings) is its setting times one factor, rounded down
after adding a fraction that differs from width to width. Widths then step up one after the other, which gives finer
sizes than a common rounding. The factor is searched by bisection.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from genoevo_mega.agents.value import Prediction
from genoevo_mega.config.code import is_code
from genoevo_mega.config.networks import Mlp
from genoevo_mega.config.run import Config
from genoevo_mega.envs.suite import Suite
from genoevo_mega.networks import ARCHITECTURES, ResidualNetwork
from genoevo_mega.networks.custom import make_custom
from genoevo_mega.networks.embedding import EmbeddedCritics
from genoevo_mega.networks.mtsac import MlpNetwork
from genoevo_runs.errors import ConfigError

TOLERANCE = 0.02
PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Sizes:
    """The settings of actor and critics, and the parameters of the actor and of one critic.

    ``target`` holds the numbers of parameters that ``match_parameters`` requests; None if it requests nothing. A
    critic of its own kind has no target. MEGA keeps its widths beside a target that is MEGA with more modules.
    """

    settings: tuple[Any, Any]
    parameters: tuple[int, int]
    target: tuple[int, int | None] | None


def network_shapes(config: Config, suite: Suite) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (inputs, outputs) of actor and critic, the critics' task embedding counted, the task one-hot not."""
    observation, action = suite.observation_size + config.critic.task_embedding, suite.action_size
    return (observation, 2 * action), (observation + action, Prediction(config.value).outputs)


def make_network(
    config: Config, settings: Any, tasks: int, shape: tuple[int, int], ensemble: int, rng: torch.Generator
) -> nn.Module:
    """Make a network of the config's architecture in the given sizes.

    MEGA has as many modules as its start stage. A custom architecture decides its sizes itself, and whether it has
    LayerNorm.
    """
    given: dict[str, Any] = {
        "tasks": tasks,
        "ensemble": ensemble,
        "rng": rng,
        "precision": PRECISIONS[config.sac.precision],
    }
    if is_code(config.architecture):
        return make_custom(config.architecture, *shape, **given)
    given["layer_norm"] = config.layer_norm
    if config.architecture == "mega":
        given |= {"modules": config.genotypes.start_stage, "sparse": config.decoding.kind != "dense"}
    network: nn.Module = ARCHITECTURES[config.architecture].network(*shape, config=settings, **given)
    return network


def make_critics(
    config: Config, settings: Any, tasks: int, shape: tuple[int, int], ensemble: int, rng: torch.Generator
) -> nn.Module:
    """Make critics of the kind that ``critic.kind`` names, in the given sizes.

    The *shape*'s inputs count the task embedding; critics that have one do not.
    """
    network = _critics(config, settings, tasks, shape, ensemble, rng)
    size = config.critic.task_embedding
    return EmbeddedCritics(network, tasks, size, rng) if size else network


def _critics(
    config: Config, settings: Any, tasks: int, shape: tuple[int, int], ensemble: int, rng: torch.Generator
) -> nn.Module:
    if config.critic.kind == "genotype":
        return make_network(config, settings, tasks, shape, ensemble, rng)
    given = {"tasks": tasks, "ensemble": ensemble, "rng": rng, "precision": PRECISIONS[config.sac.precision]}
    if config.critic.kind == "residual":
        return ResidualNetwork(*shape, config=settings, **given)
    layers = Mlp(layers=(settings.width,) * settings.layers)
    return MlpNetwork(*shape, config=layers, layer_norm=config.layer_norm, **given)


def sizes(config: Config, suite: Suite) -> Sizes:
    """Return the sizes of a run's networks; ConfigError if no widths come within 2 % of what is requested."""
    shapes, tasks = network_shapes(config, suite), len(suite.names)
    own = is_code(config.architecture)
    if own and config.match_parameters is not None:
        raise ConfigError(
            f"match_parameters = {config.match_parameters!r}: must be null; {config.architecture} chooses its sizes"
        )
    plain = None if own else getattr(config, ARCHITECTURES[config.architecture].sizes)
    target: tuple[int, int | None] | None = _target(config, tasks, shapes)
    wanted = target if sized_to_target(config) else None
    actor, of_actor = _sized(config, plain, tasks, shapes[0], wanted and wanted[0])
    if config.critic.kind == "genotype":
        critic, of_critic = _sized(config, plain, tasks, shapes[1], wanted and wanted[1])
    else:
        target = target and (target[0], None)
        critic, of_critic = config.critic, _count(make_critics, config, config.critic, tasks, shapes[1])
    return Sizes((actor, critic), (of_actor, of_critic), target)


def sized_to_target(config: Config) -> bool:
    """Return whether ``match_parameters`` chooses widths; MEGA beside MEGA keeps its own."""
    requested = config.match_parameters
    return requested is not None and not (config.architecture == "mega" and isinstance(requested, str))


def _target(config: Config, tasks: int, shapes: tuple[tuple[int, int], tuple[int, int]]) -> tuple[int, int] | None:
    requested = config.match_parameters
    if requested is None or isinstance(requested, int):
        return requested and (requested, requested)
    stage = int(requested.partition(":")[2] or config.genotypes.start_stage)
    genotypes = config.genotypes.model_copy(update={"start_stage": stage})
    mega = config.model_copy(update={"architecture": "mega", "genotypes": genotypes})
    actor, critic = (_count(make_network, mega, mega.network, tasks, shape) for shape in shapes)
    return actor, critic


def _count(make: Callable[..., nn.Module], config: Config, settings: Any, tasks: int, shape: tuple[int, int]) -> int:
    with torch.device("meta"):  # shapes without numbers
        count: int = make(config, settings, tasks, shape, 1, torch.Generator("cpu")).parameter_count
    return count


def _sized(config: Config, plain: Any, tasks: int, shape: tuple[int, int], wanted: int | None) -> tuple[Any, int]:
    """Return settings of the config's architecture, scaled to *wanted* parameters, and the parameters they give."""
    if wanted is None:
        return plain, _count(make_network, config, plain, tasks, shape)
    return _scaled_to(wanted, config, plain, tasks, shape)


def _scaled_to(wanted: int, config: Config, plain: Any, tasks: int, shape: tuple[int, int]) -> tuple[Any, int]:
    def at(factor: float) -> tuple[Any, int]:
        settings = scaled(plain, factor)
        return settings, _count(make_network, config, settings, tasks, shape)

    low, high = 0.0, 1.0
    while at(high)[1] < wanted:
        low, high = high, 2 * high
    while at(low)[0] != at(high)[0] and high - low > 1e-5 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle)[1] < wanted else (low, middle)
    settings, count = min((at(low), at(high)), key=lambda sized: abs(sized[1] - wanted))
    if abs(count - wanted) > TOLERANCE * wanted:
        widths = ", ".join(f"{name} = {getattr(settings, name)}" for name in settings.scaled)
        raise ConfigError(
            f"match_parameters = {config.match_parameters!r}: no widths of {config.architecture} come within "
            f"{TOLERANCE:.0%} of {wanted:,} parameters; the nearest have {count:,} ({widths})"
        )
    return settings, count


def scaled(settings: Any, factor: float) -> Any:
    """Return a copy of *settings* with widths multiplied by *factor*, rounded as the head of this file says."""
    values = {name: getattr(settings, name) for name in settings.scaled}
    total = sum(len(value) if isinstance(value, tuple) else 1 for value in values.values())
    parts = iter(range(total))

    def times(width: int) -> int:
        return max(1, math.floor(factor * width + (next(parts) + 0.5) / total))

    update = {
        name: tuple(map(times, value)) if isinstance(value, tuple) else times(value) for name, value in values.items()
    }
    return settings.model_copy(update=update)
