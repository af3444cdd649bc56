"""Types of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]
Arrays = dict[str, AnyArray]
Bits = npt.NDArray[np.uint8]  # zeros and ones
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Origins = npt.NDArray[np.int8]  # codes of genoevo.operators.reproduction.Origin
Words = npt.NDArray[np.uint64]  # packed bits, see genoevo._bits
