"""A small run whose genotypes keep a record, with everything that selection by record can do but frontiers."""

from pathlib import Path

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.training.trainer import Trainer

TASKS = "point", "car"
RECORD = {
    "suite": ",".join(TASKS),
    "steps": 900,
    "loggers": [],
    "environment": {"episode_length": 10, "goals": 40},
    "genotypes": {
        "population_size": 3,
        "start_stage": 2,
        "start": "sparse",
        "shared_goals": True,
        "surrogate_states": 6,
    },
    "selection": {"rule": "record"},
    "candidates": {"children": 6, "generations": 2, "first_generations": 2, "surrogate": 1.0, "inertia": 1.0},
    "decoding": {"kind": "sparse"},
    "critic": {"kind": "residual", "width": 16, "blocks": 1},
    "growth": {
        "mastery": 1.0,
        "patience": 2,
        "warmup_rounds": 1,
        "max_modules": 4,
        "fill": "explore",
        "unused_patience": 2,
    },
    "sac": {"random_steps": 10, "updates_per_step": 0.2},
    "evaluation": {"at_end": False},
    "checkpoints": {"every": 0},
}


def configured(*settings, **more):
    """The settings of such a run, with *settings* and *more* changed."""
    return build_config(preset("smoke"), RECORD, *settings, more)


def begun(directory: Path, *settings, **more) -> Trainer:
    """A run of these settings before its first step."""
    return runs.create(directory, configured(*settings, more), ["test"], lambda status: None)


def train(directory: Path, *settings, until=None, **more) -> Trainer:
    """The run after its training, or after *until* steps."""
    trainer = begun(directory, *settings, **more)
    trainer.run(until or trainer.config.steps)
    return trainer
