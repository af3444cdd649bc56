"""An adapter of its own, copied into an installed package by conftest.py: runs that add up random numbers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from genoevo_runs import files, rundir, user_code
from genoevo_runs.errors import ConfigError, RunError
from genoevo_runs.settings import Count, Settings, explain, merge, read_config

PRESETS = {"short": {"steps": 3}, "long": {"steps": 400}}


class Compute(Settings):
    compared = False

    cores: Count = 1


class Config(Settings):
    seed: int = 1
    steps: Count = 10
    scale: float = 1.0
    source: str = "normal"
    fail_at: int | None = None
    compute: Compute = Compute()


class Progress(NamedTuple):
    steps: int
    score: float | None


class Adding:
    """Adds a number a step; its whole state is state.json."""

    def __init__(self, directory, config, observer, steps=0, total=0.0) -> None:
        self.directory, self.config, self.observer, self.steps, self.total = directory, config, observer, steps, total
        self.stopped = False

    def run(self) -> bool:
        draw = user_code.imported("source", self.config.source) if ":" in self.config.source else _normal
        while self.steps < self.config.steps and not self.stopped:
            self.steps += 1
            if self.steps == self.config.fail_at:
                raise RunError(f"step {self.steps} cannot be taken")
            self.total += self.config.scale * draw(self.config.seed, self.steps)
            self.observer(Progress(self.steps, self.total))
        files.replace(self.directory / "state.json", json.dumps({"steps": self.steps, "total": self.total}))
        return self.steps == self.config.steps

    def stop(self) -> None:
        self.stopped = True

    def summary(self) -> dict[str, Any]:
        return {"total": self.total}


class ToyRuns:
    format, requirement, default_preset = "toy-run", "genoevo-toy", "short"
    packages = ("numpy",)

    def preset(self, name):
        if name not in PRESETS:
            raise ConfigError(f"preset = {name!r}: must be one of {', '.join(PRESETS)}")
        return PRESETS[name]

    def build_config(self, *layers, tell=None):
        try:
            return Config.model_validate(merge(*layers))
        except ValidationError as error:
            raise ConfigError(explain(error, Config, list(Config.model_fields))) from None

    def register_code(self):
        user_code.register("source", "TOY_ALLOW_SOURCE")

    def code(self, config):
        return {"source": config.source}

    def check(self, config):
        if config.scale == 0:
            raise ConfigError("scale = 0.0: must not be 0")

    def with_cores(self, config, cores):
        return config.model_copy(update={"compute": Compute(cores=cores)})

    def open_config(self, directory):
        rundir.read_origin(directory, self.format, 1)
        return self.build_config(read_config(directory / rundir.CONFIG))

    def create(self, directory, config, command, observer):
        rundir.check_vacant(directory)
        origin = rundir.new_origin(self.format, 1, command, {}, ["numpy"])
        rundir.create(directory, config.model_dump_json(), origin)
        return Adding(directory, config, observer)

    def resume(self, directory, observer, tell=None):
        state = json.loads((directory / "state.json").read_text())
        if (directory / "moved").exists():
            tell("the run moves")
        return Adding(directory, self.open_config(directory), observer, **state)

    def load_policy(self, directory, *, factor=1):
        if factor == 0:
            import dependency_of_toys  # noqa: F401 - there is none
        return json.loads((directory / "state.json").read_text())["total"] * factor


def _normal(seed, step):
    return float(np.random.default_rng([seed, step]).normal())


KIND = ToyRuns()
