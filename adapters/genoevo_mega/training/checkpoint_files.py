"""The files of a checkpoint: their names, their format, and the fields of ``state.json``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from genoevo_mega.training.clock import CATEGORIES
from genoevo_runs.manifest import Count, Format, Record, Sha256

AGENT, ARRAYS, COMMUNITY, STATE = "agent.safetensors", "arrays.safetensors", "community.npz", "state.json"
FORMAT, VERSION = "genoevo-mega-checkpoint", 3
ROWS, ROWS_VERSION = "genoevo-mega-replay", 1
CHECKPOINT = Format(FORMAT, VERSION, (AGENT, ARRAYS, COMMUNITY, STATE), ROWS, ROWS_VERSION)

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]


class Losses(Record):
    """The sums of losses since the last round; ``masked`` is a list by task."""

    count: Count
    sums: dict[str, float | list[float]]


class Parameters(Record):
    """The numbers of parameters of the networks."""

    actor: Count
    critics: Count


class SuccessRateRecord(Record):
    """A :class:`~genoevo_mega.training.evaluation.SuccessRate`."""

    success: Share
    low: Share
    high: Share
    episodes: Count


class Counters(Record):
    """The content of ``state.json``."""

    format: Literal["genoevo-mega-checkpoint"] = FORMAT
    version: Literal[3] = VERSION
    steps: Count
    updates: Count
    pool_size: Annotated[int, Field(ge=0, le=10**6)]
    parameters: Parameters
    replay_bytes: Count
    rngs: dict[str, dict[str, Any]]
    losses: Losses
    time: Annotated[dict[Literal[CATEGORIES], Seconds], Field(min_length=len(CATEGORIES))]  # type: ignore[valid-type]
    work: dict[Literal["operations", "rollout_seconds", "matrix_rate"], Seconds]
    metrics_offset: Count
    metrics_sha256: Sha256 | None
    evaluation_due: bool
    evaluated: list[SuccessRateRecord] | None
    evaluated_at: Count
    success: list[Share | None]
    masked: list[Count] | None = None  # up to the last round, if sac.mask_loss_above is set
