"""Presets: the settings that each of them changes from the defaults of :mod:`genoevo_mega.config.run`.

``mt10`` and ``mt50`` hold every number that the paper's summaries give [P]: episode length 200,
embedding 2 x 400, module dimension 400, module size 128, start stage 3, precision 2 and 4,
population 3 and 4. Learning rate, batch and buffer size, gamma, tau, clipping and the number of steps
are the values that MEGA's closest relatives publish [O]. Everything else is [O].

``laptop`` is MT10 in an evening on two cores: precision, population and start stage of ``mt10`` [P], with smaller
networks and the critics of BRC [O]. ``demo`` shows most of that in eleven minutes, on six tasks.

``pathnet`` is PathNet (Fernando et al. 2017), MEGA's nearest ancestor, as a configuration: modules are in
or out, children are mutants of the winners of binary tournaments, and nothing grows. It departs from the
paper: modules may read any earlier one, not the layer below; the path of a task does not stay fixed for
later tasks, because all tasks are trained at once; and ten modules serve all layers.
"""

from __future__ import annotations

from typing import Any

from genoevo_runs.settings import merge

# The paper's numbers for the agent, the same for every suite [P].
_PAPER: dict[str, Any] = {
    "environment": {"episode_length": 200},
    "network": {"width": 400, "embedding_layers": 2, "hidden": 128},
}
# How genotypes begin, are searched for and judged, and the form of modules [O]: chosen by studies/selection.yaml, see
# docs/explanation/findings.rst; usage_cost by studies/lean.yaml, growth by studies/growth.yaml; goals and crossover
# by studies/recipe.yaml. The settings' defaults are the rules before.
_EVOLUTION: dict[str, Any] = {
    "layer_norm": True,
    "network": {"modules": "residual"},
    "genotypes": {"start": "sparse"},
    "decoding": {"kind": "sparse"},
    "selection": {"rule": "record"},
    "candidates": {"children": 20, "usage_cost": 1.0},
    "growth": {"fill": "explore", "unused_patience": 5},
}
# The learner of MT10 [O]; actor_ema_tau was chosen by studies/actor_ema.yaml.
_MT10_SAC: dict[str, Any] = {
    "batch_size": 128,
    "buffer_size": 1_000_000,
    "learning_rate": 3e-4,
    "gamma": 0.99,
    "tau": 0.005,
    "actor_ema_tau": 0.05,
}

# The critics and the learner of BRC (Nauman et al. 2025, arXiv 2505.23150), see docs/explanation/critics.rst [O].
_BRC: dict[str, Any] = {
    "critic": {"kind": "residual", "blocks": 2, "task_embedding": 32},
    "value": {"loss": "hl-gauss", "bins": 101, "twins": "mean"},
    "normalise": {"rewards": True},
    "sac": {
        "simultaneous": True,
        "weight_decay": 1e-4,
        "gradient_clip": 100.0,
        "initial_temperature": 0.01,
        "target_entropy": -0.5,
        "log_std_min": -10.0,
    },
}

PRESETS: dict[str, dict[str, Any]] = {
    "mt10": merge(
        _EVOLUTION,
        {
            "suite": "mt10",
            "steps": 20_000_000,
            **_PAPER,
            "genotypes": {"precision": 2, "population_size": 3, "start_stage": 3},
            "sac": _MT10_SAC,
        },
    ),
    "mt50": merge(
        _EVOLUTION,
        {
            "suite": "mt50",
            "steps": 100_000_000,
            **_PAPER,
            "genotypes": {"precision": 4, "population_size": 4, "start_stage": 3},
            "sac": {**_MT10_SAC, "buffer_size": 5_000_000, "random_steps": 80},
            "evaluation": {"episodes": 10},
        },
    ),
    "laptop": merge(
        _EVOLUTION,
        _BRC,
        {
            "suite": "mt10",
            "steps": 10_000_000,
            "environment": {"episode_length": 200},
            "network": {"width": 96, "embedding_layers": 2, "hidden": 48},
            "critic": {"width": 128},
            "genotypes": {"precision": 2, "population_size": 3, "start_stage": 3},
            "sac": {
                **_MT10_SAC,
                "batch_size": 24,
                "buffer_size": 3_000_000,
                "n_step": 3,
            },
            "compute": {"workers": 2, "threads": 2},
            "schedule": {"time_limit_minutes": 180},
        },
    ),
    "demo": merge(
        _EVOLUTION,
        _BRC,
        {
            "suite": "drawer-close-v3,button-press-topdown-v3,window-open-v3,door-open-v3,push-v3,peg-insert-side-v3",
            "steps": 480_000,
            "network": {"width": 64, "hidden": 32},
            "critic": {"width": 96},
            "growth": {"warmup_rounds": 8, "patience": 8},
            "reproduction": {"crossover_threshold": 0.7, "mutation_threshold": 1.0, "mutation_rate": 0.02},
            "sac": {
                "batch_size": 48,
                "buffer_size": 400_000,
                "learning_rate": 7e-4,
                "n_step": 8,
                "gamma": 0.97,
                "tau": 0.01,
                "actor_ema_tau": 0.05,
                "random_steps": 1000,
                "random_action_repeat": 20,
            },
            "compute": {"workers": 2, "threads": 2},
            "schedule": {"time_limit_minutes": 11},
        },
    ),
    "synthetic": {
        "suite": "synthetic",
        "steps": 200_000,
        "environment": {"episode_length": 60},
        "network": {"width": 32, "hidden": 16},
        "growth": {"warmup_rounds": 8, "patience": 8, "max_modules": 8},
        "sac": {
            "batch_size": 32,
            "buffer_size": 400_000,
            "learning_rate": 1e-3,
            "n_step": 3,
            "gamma": 0.97,
            "tau": 0.01,
            "gradient_clip": 10.0,
            "random_steps": 300,
            "random_action_repeat": 3,
            "initial_temperature": 0.1,
            "updates_per_step": 0.5,
        },
        "checkpoints": {"every": 0},
    },
    "pathnet": {
        "suite": "mt10",
        "steps": 20_000_000,
        **_PAPER,
        "genotypes": {"precision": 1, "population_size": 3, "start_stage": 10},
        "decoding": {"kind": "gates"},
        "growth": {"max_modules": 10},
        "mating": {"tournament_size": 2, "community_rate": 0.0, "usage_cost": 0.0},
        "reproduction": {"crossover_threshold": 0.0, "mutation_threshold": 1.0},
        "sac": _MT10_SAC,
    },
    "smoke": {
        "suite": "reach-v3,drawer-close-v3",
        "steps": 1_000,
        "environment": {"episode_length": 20, "goals": 4},
        "network": {"width": 16, "hidden": 8},
        "genotypes": {"population_size": 2, "start_stage": 2},
        "growth": {"warmup_rounds": 2, "patience": 2, "max_modules": 4},
        "sac": {"batch_size": 8, "buffer_size": 10_000, "random_steps": 20},
        "evaluation": {"episodes": 2},
        "compute": {"workers": 1, "threads": 1},
        "checkpoints": {"every": 400},
    },
}
