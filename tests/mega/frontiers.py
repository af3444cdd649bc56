"""A small run whose tasks have frontiers."""

from pathlib import Path

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs

TASKS = "point", "reacher-2goals"
FRONTIER = {
    "suite": ",".join(TASKS),
    "steps": 800,
    "environment": {"episode_length": 10, "goals": 2},
    "genotypes": {"start_stage": 2, "update_with": "sample"},
    "selection": {"rule": "record"},
    "candidates": {"children": 4, "first_generations": 2},
    "decoding": {"kind": "sparse"},
    "frontier": {"size": 2, "trial_rounds": 1},
    "growth": {"mastery": 1.0, "patience": 3, "warmup_rounds": 3, "max_modules": 4},
    "sac": {"random_steps": 10, "updates_per_step": 0.2},
    "evaluation": {"at_end": False},
    "checkpoints": {"every": 0},
}


def train(directory: Path, steps: int = 800, **settings) -> Path:
    """Train a run of these settings and return its directory."""
    config = build_config(preset("smoke"), FRONTIER, settings)
    runs.create(directory, config, ["genoevo", "mega", "train", "--preset", "smoke"], lambda status: None).run(steps)
    return directory
