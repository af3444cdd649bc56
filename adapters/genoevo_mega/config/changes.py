"""The settings that may change while a run goes on, and the changes between two configs of one run."""

from __future__ import annotations

from typing import Any

from genoevo_mega.config.renamed import with_new_names
from genoevo_mega.config.run import Config
from genoevo_runs.errors import ConfigError, abbreviated
from genoevo_runs.settings import flat

MAY_CHANGE = (
    "steps",
    "loggers",
    "sac.learning_rate",
    "sac.precision",
    "sac.max_skipped",
    "sac.mask_loss_above",
    "sac.conflict_every",
    "genotypes.hybrid_rate",
    "evaluation",
    "compute",
    "schedule",
    "checkpoints",
    "faults",
)
"""Settings, and groups of them. All others decide what a checkpoint holds, or what the run is a run of."""

Changes = dict[str, tuple[Any, Any]]
"""Value before and value now, as JSON values, by the dotted name of a setting."""


def changes(before: dict[str, Any], now: Config) -> Changes:
    """Return the settings of a nested dict that have another value in *now*; names that *now* lacks are left out.

    A setting that *before* lacks is younger than the run, which had its default. If *before* is empty, nothing is
    known.
    """
    if not before:
        return {}
    default, new = flat(Config().model_dump(mode="json")), flat(now.model_dump(mode="json"))
    old = default | flat(with_new_names(before))
    return {name: (old[name], value) for name, value in new.items() if old[name] != value}


def fixed(found: Changes) -> Changes:
    """Return those of the changes that a run cannot take."""
    return {name: change for name, change in found.items() if not {name, name.partition(".")[0]} & {*MAY_CHANGE}}


def refuse_fixed(found: Changes, place: str = "") -> None:
    """Raise ConfigError, which names the first of the changes that a run cannot take; *place* is where it stands."""
    for name, (old, new) in fixed(found).items():
        raise ConfigError(
            f"{place}{name} = {abbreviated(new)}: it was {abbreviated(old)} when the run began, and cannot change; "
            f"what may change: {', '.join(MAY_CHANGE)}"
        )
