"""The records of ``metrics.jsonl`` and ``time.jsonl`` that reports and comparisons read, checked.

The files may come from anybody. A field that an earlier version did not write may be missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from genoevo_mega.training.clock import CATEGORIES
from genoevo_runs import files
from genoevo_runs.manifest import parse

Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(ge=-1e100, le=1e100)]
Seconds = Annotated[float, Field(ge=0, le=1e12)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Step = Annotated[int, Field(ge=1, lt=2**62)]
Episodes = Annotated[int, Field(ge=1, lt=2**31)]
Row = Annotated[int, Field(ge=-1, lt=2**31)]
Child = tuple[Annotated[int, Field(ge=-1, le=2)], Row, Row]


class _Part(BaseModel):
    """The part of a record that is read: other fields are not looked at, and none is cast."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class Genealogy(_Part):
    """Where the genotypes after a round come from, see :func:`genoevo_mega.evolution.round_records.genealogy`."""

    survivors: list[Count]
    children: list[list[Annotated[Child, Field(strict=False)]]]


class Genotypes(_Part):
    """What a task's genotypes achieved in the round's own episodes, the former elite first."""

    age: Annotated[list[Count], Field(min_length=1)] | None = None  # only of genotypes with a record
    round_success: Annotated[list[Number], Field(min_length=1)]
    round_return: list[Number]
    episodes: list[Count] | None = None  # not in early records


class Settled(_Part):
    """A genotype of a frontier."""

    price: Number
    success: Share
    error: Number
    age: Count


class Selection(_Part):
    """What selection did, see :func:`genoevo_mega.evolution.round_records.selection`."""

    surrogate_correlation: Number | None = None
    overlap: Number | None = None
    genotypes: dict[str, Genotypes | list[Any]] = Field(default_factory=dict)  # a list in early records
    frontier: dict[str, list[Settled]] = Field(default_factory=dict)


class Round(_Part):
    """A round; the keys of dicts are the run's tasks."""

    step: Step
    pool_size: Count = 0
    success: dict[str, Share]
    mean_return: dict[str, Number] = Field(default_factory=dict, alias="return")
    episodes: dict[str, Episodes] = Field(default_factory=dict)
    stage: dict[str, Count] = Field(default_factory=dict)
    effective_modules: dict[str, Count] = Field(default_factory=dict)
    elite: dict[str, Annotated[str, Field(pattern="^[01]+$")]] = Field(default_factory=dict)
    genealogy: Genealogy = Genealogy(survivors=[], children=[])
    selection: Selection = Field(default_factory=Selection)


class Evaluation(_Part):
    """A greedy evaluation."""

    step: Annotated[int, Field(ge=0, lt=2**62)]
    episodes: Episodes
    greedy_success: dict[str, Share]


class Times(_Part):
    """The wall time until a round."""

    step: Step
    seconds: dict[Literal[CATEGORIES], Seconds]  # type: ignore[valid-type]


class MetricsLog:
    """The rounds and the evaluations in ``metrics.jsonl``, the file *path*, whose records are checked once each.

    Attributes
    ----------
    rounds, evaluations
        The records of each kind so far.
    lines
        The number of records so far, those of other kinds included.

    """

    def __init__(self, path: Path) -> None:
        self.path, self.lines = path, 0
        self.rounds: list[dict[str, Any]] = []
        self.evaluations: list[dict[str, Any]] = []
        self._tasks: list[str] | None = None
        self._shape: tuple[int, int] | None = None

    def add(self, record: dict[str, Any]) -> None:
        """Add the record of the next line.

        CorruptFileError, and nothing is added, if a field is wrong, or if its tasks are not those of the others, in
        the same order.
        """
        kind = record.get("kind")
        if kind in ("round", "evaluation"):
            with files.reading(self.path):
                try:
                    self._check(kind, record)
                except ValueError as error:
                    raise ValueError(f"{kind} in line {self.lines + 1}: {error}") from None
            (self.rounds if kind == "round" else self.evaluations).append(record)
        self.lines += 1

    def _check(self, kind: str, record: dict[str, Any]) -> None:
        read = parse(Round if kind == "round" else Evaluation, record)
        given = list(read.success if kind == "round" else read.greedy_success)
        tasks = given if self._tasks is None else self._tasks
        if not given or given != tasks:
            raise ValueError(f"its tasks must be {', '.join(tasks)}, got {', '.join(given) or 'none'}")
        if kind == "round":
            self._shape = _check_round(read, tasks, self._shape)
        self._tasks = tasks


class TimesLog:
    """The records in ``time.jsonl``, the file *path*, each checked once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[dict[str, Any]] = []

    @property
    def lines(self) -> int:
        """The number of records so far."""
        return len(self.records)

    def add(self, record: dict[str, Any]) -> None:
        """Add the record of the next line; CorruptFileError, and nothing is added, if a field is wrong."""
        seconds = {name: value for name, value in record.items() if name != "step"}
        with files.reading(self.path):
            try:
                parse(Times, {"step": record["step"], "seconds": seconds})
            except ValueError as error:
                raise ValueError(f"line {self.lines + 1}: {error}") from None
        self.records.append(record)


def rounds_and_evaluations(
    path: Path, records: Iterable[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rounds and the evaluations among the records of the file *path*, checked by :class:`MetricsLog`."""
    log = MetricsLog(path)
    for record in records:
        log.add(record)
    return log.rounds, log.evaluations


def _check_round(read: Round, tasks: list[str], shape: tuple[int, int] | None) -> tuple[int, int] | None:
    """Raise ValueError for a part of another shape; return the numbers of tasks and of children in the genealogy."""
    for name in ("mean_return", "episodes", "stage", "effective_modules"):
        if name in read.model_fields_set and list(getattr(read, name)) != tasks:
            raise ValueError(f"{name.removeprefix('mean_')} must have the tasks {', '.join(tasks)}")
    if unknown := set(read.elite) - set(tasks):
        raise ValueError(f"elite has the unknown task {min(unknown)!r:.80}")
    for task, columns in read.selection.genotypes.items():
        if isinstance(columns, Genotypes) and len({len(each) for _, each in columns if each is not None}) > 1:
            raise ValueError(f"selection.genotypes of {task:.80} must have columns of one length")
    if "genealogy" not in read.model_fields_set:
        return shape
    survivors, children = read.genealogy.survivors, read.genealogy.children
    shape = shape or (len(tasks), len(children[0]) if children else 0)
    size = shape[1] + 1
    if len(survivors) != len(tasks) or [len(each) for each in children] != [shape[1]] * len(tasks):
        raise ValueError(f"genealogy must be of {len(tasks)} tasks with {size} genotypes each")
    parents = [row for of_task in children for _, *rows in of_task for row in rows]
    if max(survivors) >= size or max(parents, default=-1) >= size * len(tasks):
        raise ValueError(f"genealogy names a genotype that is not one of {size} of {len(tasks)} tasks")
    return shape
