"""What the algorithms share: the arguments of their constructors, and the type of their generations."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypedDict

from deap.tools import MultiStatistics, Statistics

from genoevo.algorithms.solutions import Answer
from genoevo.evolution.pending import Pending
from genoevo.evolution.record import Record

MOST = 10_000
"""The most genotypes at once that a setting may ask for: a state must not make a search take all memory."""

Course = Generator[Pending, Answer, None]


class Options(TypedDict, total=False):
    """The arguments of every algorithm's constructor that have a default."""

    record: Record | None
    statistics: Statistics | MultiStatistics | None
    callbacks: Sequence[Callable[[Any], object]]
    reevaluate: bool
