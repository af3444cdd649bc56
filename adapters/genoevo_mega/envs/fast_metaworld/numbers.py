"""The arithmetic of Meta-World's rewards on plain numbers instead of arrays of one to four; the same bits.

Sums of products stay with numpy's dot, whose rounding depends on the machine's BLAS. Squares stay powers, as in
stock. If an argument is not a usual one, the stock function is called.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from metaworld.utils import reward_utils

_FLOAT = np.dtype(np.float64)
_ONE_AXIS = (8,)  # the strides of a vector whose numbers lie side by side
_AT_MARGIN = 0.1  # stock's default of value_at_margin
_LONG_TAIL = float(np.sqrt(1 / _AT_MARGIN - 1))
_GAUSSIAN = float(np.sqrt(-2 * np.log(_AT_MARGIN)))


def norm(x: Any, ord: float | None = None, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the result of numpy.linalg.norm."""
    usual = type(x) is np.ndarray and x.dtype is _FLOAT and x.strides == _ONE_AXIS and axis is None and not keepdims
    if usual and (ord is None or ord == 2):
        return np.float64(math.sqrt(x.dot(x)))
    return np.linalg.norm(x, ord, axis, keepdims)


def tolerance(
    x: Any,
    bounds: tuple[float, float] = (0.0, 0.0),
    margin: Any = 0.0,
    sigmoid: Any = "gaussian",
    value_at_margin: float = _AT_MARGIN,
) -> Any:
    """Return the result of metaworld.utils.reward_utils.tolerance."""
    lower, upper = bounds
    usual = isinstance(x, float) and value_at_margin == _AT_MARGIN and sigmoid in ("long_tail", "gaussian")
    if not usual or lower > upper or margin < 0:
        return reward_utils.tolerance(x, bounds, margin, sigmoid, value_at_margin)
    x, margin = float(x), float(margin)
    if lower <= x <= upper:
        return 1.0
    if margin == 0:
        return 0.0
    distance = float(lower - x if x < lower else x - upper) / margin
    if sigmoid == "long_tail":
        return 1 / ((distance * _LONG_TAIL) ** 2 + 1)
    return float(np.exp(-0.5 * (distance * _GAUSSIAN) ** 2))


class Rotation:
    """The part of scipy's Rotation that Meta-World's observations use.

    scipy checks at length that a matrix is a rotation; MuJoCo makes its matrices from unit quaternions. After this
    check, scipy computes the formula below (Bar-Itzhack 2000).
    """

    def __init__(self, matrix: npt.NDArray[np.float64]) -> None:
        self._matrix = matrix

    from_matrix = classmethod(lambda cls, matrix: cls(matrix))

    def as_quat(self) -> npt.NDArray[np.float64]:
        """Return the quaternion x, y, z, w, (4,) float64."""
        (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = self._matrix.tolist()
        trace = xx + yy + zz
        largest = max(xx, yy, zz, trace)
        if largest == xx:
            quaternion = 1 - trace + 2 * xx, yx + xy, zx + xz, zy - yz
        elif largest == yy:
            quaternion = yx + xy, 1 - trace + 2 * yy, zy + yz, xz - zx
        elif largest == zz:
            quaternion = zx + xz, zy + yz, 1 - trace + 2 * zz, yx - xy
        else:
            quaternion = zy - yz, xz - zx, yx - xy, 1 + trace
        x, y, z, w = quaternion
        length = math.sqrt(x * x + y * y + z * z + w * w)
        return np.array([x / length, y / length, z / length, w / length])
