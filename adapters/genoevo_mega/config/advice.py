"""Combinations of settings that are allowed, and of which one has no effect or spoils another."""

from __future__ import annotations

from genoevo_mega.config.run import Config


def advice(config: Config) -> list[str]:
    """Return a sentence for each such combination in *config*, none if all is well."""
    return [*_without_effect(config), *_beyond_the_range(config)]


def _without_effect(config: Config) -> list[str]:
    kind, loss = config.critic.kind, config.value.loss
    is_read = {
        "critic.kind": {"width": kind != "genotype", "blocks": kind == "residual", "layers": kind == "mlp"},
        "value.loss": {"bins": loss != "squared", "smoothing": loss == "hl-gauss"},
    }
    found = []
    for reader, settings in is_read.items():
        name, _, choice = reader.partition(".")
        group = getattr(config, name)
        found += [
            f"{name}.{unread} = {getattr(group, unread)} has no effect with {reader} = {getattr(group, choice)!r}"
            for unread, read in settings.items()
            if not read and getattr(group, unread) != type(group).model_fields[unread].default
        ]
    return found


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
