"""Combinations of settings that are allowed, and of which one has no effect or spoils another."""

from __future__ import annotations

from genoevo_mega.config.critic import Critic, Value
from genoevo_mega.config.run import Config

_READ_BY_KIND = {"genotype": (), "residual": ("width", "blocks"), "mlp": ("width", "layers")}


def advice(config: Config) -> list[str]:
    """Return a sentence for each such combination in *config*, none if all is well."""
    return [*_without_effect(config), *_beyond_the_range(config)]


def _without_effect(config: Config) -> list[str]:
    read, critic, value = _READ_BY_KIND[config.critic.kind], config.critic, config.value
    unread = [
        f"critic.{name} = {getattr(critic, name)} has no effect with critic.kind = {critic.kind!r}"
        for name in ("width", "blocks", "layers")
        if name not in read and getattr(critic, name) != Critic.model_fields[name].default
    ]
    smoothed = {"bins": value.loss != "squared", "smoothing": value.loss == "hl-gauss"}
    return unread + [
        f"value.{name} = {getattr(value, name)} has no effect with value.loss = {value.loss!r}"
        for name, is_read in smoothed.items()
        if not is_read and getattr(value, name) != Value.model_fields[name].default
    ]


def _beyond_the_range(config: Config) -> list[str]:
    sac, value, scaled = config.sac, config.value, config.normalise.rewards
    found = []
    if value.loss != "squared" and not scaled:
        found.append(
            f"value.loss = {value.loss!r} without normalise.rewards: values beyond +-{value.range:g} (value.range) "
            "count as these"
        )
    if scaled and sac.reward_scale != 1:
        found.append(f"sac.reward_scale = {sac.reward_scale:g} multiplies rewards that normalise.rewards scaled")
    # The bonus of one nat in every step, for ever; a uniform action of four dimensions has 2.7 nats.
    most = value.range * (1 - sac.gamma)
    if value.loss != "squared" and scaled and sac.initial_temperature > most:
        found.append(
            f"sac.initial_temperature = {sac.initial_temperature:g}: the bonus of entropy is beyond value.range = "
            f"{value.range:g} until the temperature is below {most:.2g}"
        )
    return found
