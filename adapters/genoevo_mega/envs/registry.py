"""The suite that a config names."""

from __future__ import annotations

from genoevo_mega.config.code import is_code
from genoevo_mega.config.run import Config
from genoevo_mega.envs.custom import is_other, make_other
from genoevo_mega.envs.metaworld import MetaWorldSuite, metaworld_names
from genoevo_mega.envs.suite import Suite
from genoevo_mega.envs.synthetic import CHANGE, SyntheticSuite, is_synthetic, synthetic_names
from genoevo_runs.errors import ConfigError

_OTHERS = ("synthetic", "gymnasium:ID", "package.module:callable")
METAWORLD_STEPS = 500
"""The steps after which Meta-World ends every episode."""


def make_suite(config: Config) -> Suite:
    """Return the suite of the config's tasks.

    Raises ConfigError if a task is unknown, if an episode is longer than its suite allows, or if only one of the
    suite and ``environment.change_at`` has a change in the middle of the run.
    """
    environment = config.environment
    if is_other(config.suite):
        suite = make_other(config.suite, config.seed, environment.goals)
        if environment.change_at is not None and not is_code(config.suite):
            raise ConfigError(f"environment.change_at = {environment.change_at}: must be null for gymnasium's tasks")
        return suite
    synthetic = is_synthetic(config.suite)
    names = synthetic_names(config.suite) if synthetic else metaworld_names(config.suite, _OTHERS)
    changing = synthetic and any(name.endswith(CHANGE) for name in names)
    if changing != (environment.change_at is not None):
        raise ConfigError(
            f"environment.change_at = {environment.change_at}: must be a number of steps if the name of a task "
            f"ends with {CHANGE}, else null; the suite is {config.suite!r}"
        )
    if synthetic:
        return SyntheticSuite(names, config.seed, environment.goals)
    if environment.episode_length > METAWORLD_STEPS:
        raise ConfigError(
            f"environment.episode_length = {environment.episode_length}: must be at most {METAWORLD_STEPS}, "
            "the step at which Meta-World ends every episode"
        )
    return MetaWorldSuite(names, config.seed, environment.goals, environment.reward_version)
