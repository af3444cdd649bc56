"""Short runs on synthetic tasks, with rollouts here or on a cluster."""

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs

STEPS = 2000
SETTINGS = {
    "suite": "synthetic",
    "steps": STEPS,
    "environment": {"episode_length": 30},
    "sac": {"random_steps": 20},
    "evaluation": {"episodes": 2},
    "compute": {"workers": 4, "threads": 1},
    "schedule": {"double_buffering": True},
}


def train(directory, rollouts, steps=STEPS, observer=lambda status: None, **settings):
    """Begin, with more *settings*, or resume a run and return its digest after *steps* environment steps."""
    where = {"compute": {"rollouts": rollouts}}
    if runs.rundir.is_run(directory):
        trainer = runs.resume(directory, observer, settings=where)
    else:
        trainer = runs.create(directory, build_config(preset("smoke"), SETTINGS, settings, where), ["test"], observer)
    trainer.run(steps)
    return runs.info(directory)["digest"]
