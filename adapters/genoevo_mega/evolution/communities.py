"""The community of a run: made from its settings, or read from its state and compared with them."""

from __future__ import annotations

from typing import Any

from genoevo import Community, StagedLayout
from genoevo.community import RecordCommunity
from genoevo.state import State
from genoevo_mega.config.evolution import EvolutionSettings
from genoevo_runs.errors import ConfigError, UserError

_RULES = ("reproduction", "mating", "growth", "decoding")
_RECORD_RULES = ("selection", "candidates", "frontier")


def make_community(settings: EvolutionSettings, tasks: list[str], seed: int) -> Community | RecordCommunity:
    """Return the first generation of a run; ConfigError if its stages exceed the module budget."""
    genotypes = settings.genotypes
    least = len(tasks) * genotypes.start_stage
    if genotypes.module_budget is not None and genotypes.module_budget < least:
        raise ConfigError(
            f"genotypes.module_budget = {genotypes.module_budget}: must be at least {least}, "
            f"{len(tasks)} tasks of stage {genotypes.start_stage}"
        )
    layout = StagedLayout(genotypes.precision)
    rules: dict[str, Any] = {name: getattr(settings, name) for name in _RULES}
    rules |= {"seed": seed, "size": genotypes.population_size, "stage": genotypes.start_stage}
    if settings.selection.rule == "record":
        by_record = {name: getattr(settings, name) for name in _RECORD_RULES}
        return RecordCommunity(layout, tasks, start=genotypes.start, **rules, **by_record)
    return Community(layout, tasks, **rules)


def community_from_state(
    settings: EvolutionSettings, tasks: list[str] | None, state: State
) -> Community | RecordCommunity:
    """Return the community of a state; *tasks* None accepts any.

    Raises
    ------
    UserError
        If the rules in *settings* differ from the run's.
    ValueError
        If the state is corrupt or belongs to another run.

    """
    by_record = settings.selection.rule == "record"
    if ("record" in state) != by_record:
        raise UserError(
            f"config.yaml: selection.rule = {settings.selection.rule!r} differs from the rules of the run"
        )
    community = RecordCommunity.from_state(state) if by_record else Community.from_state(state)
    for rules in (*_RULES, *(_RECORD_RULES if by_record else ())):
        if getattr(community, rules) != getattr(settings, rules):
            raise UserError(f"config.yaml: {rules} differs from the rules of the run: {getattr(community, rules)}")
    genotypes = settings.genotypes
    expected: dict[str, Any] = {"size": genotypes.population_size, "start_stage": genotypes.start_stage}
    if tasks is not None:
        expected["tasks"] = tasks
    for name, value in expected.items():
        if getattr(community, name) != value:
            raise ValueError(f"{name} = {getattr(community, name)!r}: config.yaml has {value!r}")
    if community.layout.precision != genotypes.precision:
        raise ValueError(f"precision = {community.layout.precision}: config.yaml has {genotypes.precision}")
    return community
