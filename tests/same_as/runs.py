"""The runs that are compared, in the names of this checkout's settings, and what earlier revisions called these."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genoevo_mega.config.renamed import RENAMED
from tests.same_as.facts import Facts

SETTINGS: dict[str, str] = {new: old for old, new in RENAMED.items()}
"""Renamed settings: dotted name here -> dotted name before."""

BEFORE: dict[str, object] = {"compute.kernels": "torch", "frontier.first_trial": "elite"}
"""Settings that earlier revisions lack -> the only value that is what these do."""

NAMES: dict[str, str] = {}
"""Renamed parts of what a run writes: ``info``, ``state``, ``metrics``, tensors ... -> before, as
:func:`tests.same_as.compare.renamed` takes them."""

ADDED: tuple[str, ...] = (
    *("info/sizes", "info/selection", "info/module_shares", "info/frontier"),
    *("info/checkpoints", "info/evaluated_at", "info/history"),
    *("metrics/*/selection", "state/rngs/surrogate"),
    "*/front_stagnant",
)
"""What a run writes and earlier revisions did not, as patterns of names; a revision that has it must agree."""


def translated(settings: Mapping[str, Any], known: Collection[str], table: Mapping[str, str]) -> dict[str, Any]:
    """*settings* under the names that a revision with the settings *known* has for them.

    ValueError for one that it has under no name of *table*: a setting is dropped only if all earlier revisions do
    what its value says.
    """
    found = {}
    for name, value in settings.items():
        old = name
        while old not in known and old in table:
            old = table[old]
        if old not in known and BEFORE.get(name) == value:
            continue
        if old not in known:
            raise ValueError(f"setting {name} is unknown there, under this name and every earlier one")
        found[old] = value
    return found


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as nested dicts."""
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        *groups, last = name.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[last] = value
    return tree


# ------------------------------------------------------------------- what a run must have done, to prove anything


def _learnt(facts: Facts, run: Training) -> bool:
    return int(facts["info/updates"]) > 100 and int(facts["metrics/lines"]) > 2


def _grew(facts: Facts, run: Training) -> bool:
    return int(facts["info/pool_size"]) >= run.settings.get("genotypes.start_stage", 2) + 2


def _masked(facts: Facts, run: Training) -> bool:
    counts = [
        int(value) for name, value in facts.items() if name.startswith("info/tasks/") and name.endswith("/masked")
    ]
    return 0 < sum(counts) < len(counts) * int(facts["info/updates"])


def _measured_conflict(facts: Facts, run: Training) -> bool:
    return '"conflict"' in facts.values()


def _selected(facts: Facts, run: Training) -> bool:
    size = int(run.settings["genotypes.population_size"])
    kept = [float(value) for name, value in facts.items() if name.endswith("/selection/kept")]
    return bool(kept) and min(kept) < size and any("/selection/frontier/" in name for name in facts)


CHECKS: dict[str, Callable[[Facts, Training], bool]] = {
    "learnt": _learnt,
    "grew": _grew,
    "masked": _masked,
    "measured conflict": _measured_conflict,
    "selected by record": _selected,
}


@dataclass(frozen=True)
class Training:
    """A training run.

    ``how``: from its beginning to its end (whole), with SIGINT or SIGKILL on the way and resumed (stopped, killed),
    or resumed by either side from what the other revision began (begun). ``must``: names of CHECKS.
    """

    name: str
    settings: dict[str, Any]
    how: Literal["whole", "stopped", "killed", "begun"] = "whole"
    must: tuple[str, ...] = ()
    quick: bool = False

    @property
    def steps(self) -> int:
        """Environment steps of all tasks together."""
        return int(self.settings["steps"])

    def unproved(self, facts: Facts) -> list[str]:
        """What it should have done and did not; without that its equality says nothing."""
        return [check for check in ("learnt", *self.must) if not CHECKS[check](facts, self)]


@dataclass(frozen=True)
class Search:
    """A search of the engine, by its name in :mod:`tests.same_as.searches`."""

    name: str
    quick: bool = False


SYNTHETIC = {
    "compute.kernels": "torch",
    "suite": "point,pendulum-flip,reacher-2goals",
    "steps": 480,
    "environment.episode_length": 12,
    "loggers": [],
}
GROWTH = {
    "growth.mastery": 1.0,
    "growth.min_gain": 5.0,
    "growth.patience": 1,
    "growth.warmup_rounds": 1,
    "growth.max_modules": 5,
}
MEGA = {**SYNTHETIC, **GROWTH}
HYBRID = {"genotypes.hybrid_rate": 0.5}
MASKED = {"sac.mask_loss_above": 4.0}
RECORD = {
    "selection.rule": "record",
    "genotypes.population_size": 3,
    "genotypes.start": "sparse",
    "genotypes.shared_goals": True,
    "decoding.kind": "sparse",
    "candidates.children": 6,
    "candidates.first_generations": 2,
    "candidates.surrogate": 1.0,
    "candidates.inertia": 0.2,
    "frontier.size": 2,
    "frontier.trial_rounds": 1,
    "frontier.first_trial": "elite",
    "critic.kind": "residual",
    "growth.fill": "explore",
    "steps": 1000,
}
TWO_WORKERS = {"compute.workers": 2}
TWO_THREADS = {"compute.threads": 2}
FIXED: dict[str, dict[str, Any]] = {
    "mtsac": {"mlp.layers": [18, 16]},
    "mtmhsac": {"mlp.layers": [18, 16]},
    "soft-modules": {
        "soft_modules.width": 18,
        "soft_modules.module_width": 16,
        "soft_modules.gating_width": 14,
        "soft_modules.layers": 3,
    },
    "paco": {"paco.layers": [18, 16], "paco.sets": 3},
    "moore": {"moore.layers": [18, 16], "moore.experts": 3},
    "d2r": {"d2r.width": 18, "d2r.module_width": 16, "d2r.gating_width": 14, "d2r.modules": 5},
}


def _mega(name: str, settings: dict[str, Any], *must: str, **rest: Any) -> Training:
    return Training(f"mega-{name}", {**MEGA, **settings}, must=("grew", *must), **rest)


def _fixed(name: str, settings: dict[str, Any] | None = None, suffix: str = "", **rest: Any) -> Training:
    own = {**SYNTHETIC, "architecture": name, **FIXED[name], **(settings or {})}
    return Training(f"{name}{suffix}", own, **rest)


TRAININGS = (
    _mega("growth", {"loggers": ["tensorboard"]}, quick=True),
    _mega("stored", {"genotypes.update_with": "stored"}, quick=True),
    _mega("elite", {"genotypes.update_with": "elite"}),
    _mega("hybrid", HYBRID, quick=True),
    _mega("hybrid-elite", {**HYBRID, "genotypes.update_with": "elite", "genotypes.precision": 4}),
    _mega("masked", MASKED, "masked", quick=True),
    _mega("halves", {**TWO_WORKERS, "schedule.double_buffering": True}),
    _mega("two-workers", {**TWO_WORKERS, "schedule.update_lag": 0}),
    _mega("two-threads", TWO_THREADS, quick=True),
    _mega("two-threads-stored-masked", {**TWO_THREADS, **MASKED, "genotypes.update_with": "stored"}, "masked"),
    _mega("two-threads-hybrid-masked", {**TWO_THREADS, **MASKED, **HYBRID}, "masked"),
    _mega(
        "n-step-average",
        {
            "sac.n_step": 5,
            "sac.actor_ema_tau": 0.01,
            "sac.reward_scale": 0.5,
            "sac.random_action_repeat": 4,
            "sac.gradient_clip": 10.0,
        },
    ),
    _mega("lag-conflict", {"schedule.update_lag": 3, "sac.conflict_every": 50}, "measured conflict"),
    _mega("rare-updates", {"sac.updates_per_step": 0.5, "genotypes.population_size": 3, "steps": 840}),
    _mega(
        "wide",
        {"network.width": 64, "network.hidden": 32, "sac.batch_size": 48, "genotypes.episodes": 2, "steps": 840},
    ),
    _mega("limits", {"genotypes.module_budget": 12, "genotypes.rollback": 0.2, "growth.fill": "random"}),
    _mega("gymnasium", {"suite": "gymnasium:Pendulum-v1,MountainCarContinuous-v0", "steps": 360}),
    _mega("metaworld", {"suite": "reach-v3,drawer-close-v3", "steps": 360, "evaluation.every": 200, **TWO_WORKERS}),
    _mega("record", RECORD, "selected by record", quick=True),
    _mega("record-begun", RECORD, "selected by record", how="begun"),
    _mega("changing", {"suite": "point,car-change", "environment.change_at": 300, "steps": 360}),
    Training("mega-unbred", {**SYNTHETIC, "genotypes.evolve": False}),
    _mega("stopped", {**HYBRID, "steps": 1000}, how="stopped", quick=True),
    _mega("killed", {**MASKED, "sac.n_step": 3, "steps": 1000}, "masked", how="killed"),
    _mega("stored-stopped", {"genotypes.update_with": "stored", "steps": 1000, **TWO_WORKERS}, how="stopped"),
    _mega("begun", {**HYBRID, **MASKED, "steps": 840}, "masked", how="begun", quick=True),
    _fixed("mtsac", {"match_parameters": "mega:4", "sac.actor_ema_tau": 0.01}),
    _fixed("mtmhsac", quick=True),
    _fixed("mtmhsac", {**MASKED, **TWO_THREADS}, "-masked-two-threads", must=("masked",)),
    _fixed("mtmhsac", {"steps": 840}, "-begun", how="begun"),
    _fixed("soft-modules", {"sac.conflict_every": 50}, must=("measured conflict",)),
    _fixed("soft-modules", TWO_THREADS, "-two-threads"),
    _fixed("soft-modules", {"steps": 1000}, "-stopped", how="stopped"),
    _fixed("paco"),
    _fixed("moore"),
    _fixed("d2r"),
)
SEARCHES = (
    *(Search(name) for name in ("generational", "steady", "plus", "comma", "one-plus-one", "lexicase")),
    *(Search(name) for name in ("nsga2", "variable", "variable-rejected", "segments", "creep")),
    *(Search(name) for name in ("islands", "islands-complete", "islands-random", "remembering")),
    *(Search(name, quick=True) for name in ("asked", "community", "community-limits", "operators")),
)
