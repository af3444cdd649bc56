"""MEGA's kind of runs, for sweeps and :func:`genoevo.load_policy`. The entry point is in ``pyproject.toml``.

This module is imported before it is known whether torch is installed, so methods import what they use.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoevo_runs.run_kind import Observer, Tell, silent

if TYPE_CHECKING:
    from genoevo_mega.config.run import Config
    from genoevo_mega.policies.policy import Policy
    from genoevo_mega.training.trainer import Trainer


class MegaTraining:
    """A trainer with the end that its own settings define."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    @property
    def steps(self) -> int:
        """Environment steps taken."""
        return self._trainer.state.steps

    def run(self) -> bool:
        """Train and save; return False if it was stopped before the end."""
        return self._trainer.run(self._trainer.config.steps)

    def stop(self) -> None:
        """Make :meth:`run` save and return after the present vector step."""
        self._trainer.stop_requested = True

    def summary(self) -> dict[str, Any]:
        """Return the environment steps and the gradient steps taken."""
        return {"steps": self._trainer.state.steps, "updates": self._trainer.state.agent.updates}


class MegaRuns:
    """MEGA's :class:`~genoevo_runs.run_kind.RunKind`, which documents the methods."""

    format, requirement, default_preset = "genoevo-mega-run", "genoevo[mega]", "mt10"
    packages = "genoevo", "deap", "numpy", "scipy", "torch", "gymnasium", "metaworld", "mujoco"

    def preset(self, name: str) -> dict[str, Any]:  # noqa: D102
        from genoevo_mega.config.run import preset

        return preset(name)

    def build_config(self, *layers: dict[str, Any], tell: Tell = silent) -> Config:  # noqa: D102
        from genoevo_mega.config.renamed import with_new_names
        from genoevo_mega.config.run import build_config

        return build_config(*(with_new_names(layer, tell) for layer in layers))

    def register_code(self) -> None:  # noqa: D102
        import genoevo_mega.config.code  # noqa: F401 - its import does it

    def code(self, config: Config) -> dict[str, str]:  # noqa: D102
        return config.code

    def check(self, config: Config) -> None:
        """Raise ConfigError if the tasks cannot be made."""
        from genoevo_mega.envs.registry import make_suite

        make_suite(config)

    def with_cores(self, config: Config, cores: int) -> Config:
        """Return *config* with *cores* rollout workers and threads, unless it was given its own numbers."""
        open_settings = {"workers", "threads"} - config.compute.model_fields_set
        compute = config.compute.model_copy(update=dict.fromkeys(open_settings, cores))
        return config.model_copy(update={"compute": compute})

    def open_config(self, directory: Path) -> Config:  # noqa: D102
        from genoevo_mega.experiments.runs import open_config

        return open_config(directory)

    def create(self, directory: Path, config: Config, command: list[str], observer: Observer) -> MegaTraining:  # noqa: D102
        from genoevo_mega.experiments.runs import create

        return MegaTraining(create(directory, config, command, observer))

    def resume(self, directory: Path, observer: Observer, tell: Tell = silent) -> MegaTraining:  # noqa: D102
        from genoevo_mega.experiments.runs import resume

        return MegaTraining(resume(directory, observer, tell))

    def load_policy(self, directory: Path, **options: Any) -> Policy:
        """Return the policies of all tasks; options are ``seed``, for actions that are drawn, and ``checkpoint``."""
        from genoevo_mega.policies.policy import load_policy

        return load_policy(directory, **options)


KIND = MegaRuns()
