"""A small evolution whose codes are trained by gradient steps."""

import numpy as np

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.episodes import FinishedEpisodes
from genoevo_mega.evolution.evolver import Evolver

SETTINGS = {
    "suite": "point,car",
    "genotypes": {"population_size": 3, "start_stage": 3, "hybrid_rate": 0.1},
    "growth": {"max_modules": 5, "patience": 1, "warmup_rounds": 2, "mastery": 1.0},
}


def configured(**settings):
    return build_config(preset("smoke"), SETTINGS, settings)


def fresh_evolver(**settings):
    return Evolver.fresh(configured(**settings).evolution, ["point", "car"], seed=2)


def play_round(evolver, successes=((0, 0), (1, 0), (0, 1))):
    """Each element: which task succeeded with the genotype that drives."""
    for each in successes:
        evolver.record_episodes(
            FinishedEpisodes(np.ones(2, bool), np.arange(2), np.arange(2.0), np.array(each, bool))
        )
    return evolver.end_round()


def move_codes(evolver, change):
    """Add *change* to every code of every genotype, as a gradient step might."""
    for code in evolver._relaxed._codes:
        code.data.add_(change).clamp_(0, 3)


def codes_of(evolver):
    return evolver.state_arrays()["relaxed_codes"]
