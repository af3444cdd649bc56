"""Types of arrays, and the restoration of arrays from a checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]
"""Arrays by name."""
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def restore_array(name: str, own: npt.NDArray[Any], given: npt.NDArray[Any]) -> None:
    """Copy an array of a checkpoint into *own*; ValueError if shape or dtype differ, or a value is not finite."""
    if given.shape != own.shape or given.dtype != own.dtype:
        raise ValueError(f"{name} is {given.dtype}{given.shape}, not {own.dtype}{own.shape}")
    if not np.isfinite(given).all():
        raise ValueError(f"{name} is not finite")
    own[:] = given
