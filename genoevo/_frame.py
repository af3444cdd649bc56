"""Data frames of pandas, which is imported only when one is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genoevo._optional import optional
from genoevo._types import Floats


def fitness_columns(values: Floats) -> dict[str, Floats]:
    """Return the columns of (n, k) fitness *values*: ``fitness``, or ``fitness_1`` to ``fitness_k``."""
    k = values.shape[1]
    return {"fitness" if k == 1 else f"fitness_{i + 1}": values[:, i] for i in range(k)}


def data_frame(what: str, columns: Mapping[str, Any], index: str) -> Any:
    """Return a ``pandas.DataFrame`` whose rows are numbered from 0 under the name *index*.

    ImportError names *what* if pandas is not installed.
    """
    pandas = optional("pandas", f"a data frame of {what}", "pandas")
    frame = pandas.DataFrame(dict(columns))
    frame.index.name = index
    return frame
