"""A small run that grows after its first rounds."""

import json

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs

# Growth after the first round, learning from the first steps on.
EAGER = {
    "steps": 400,
    "environment": {"episode_length": 10, "goals": 2},
    "growth": {"mastery": 1.0, "patience": 1, "warmup_rounds": 4, "max_modules": 3},
    "sac": {"random_steps": 10},
    "evaluation": {"at_end": False},
    "checkpoints": {"every": 0},
}


def configured(**settings):
    return build_config(preset("smoke"), EAGER, settings)


def train(directory, config, **until):
    trainer = runs.create(directory, config, ["test"], lambda status: None)
    trainer.run(until.get("steps", config.steps))
    return trainer


def records_of(directory, kind):
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]
