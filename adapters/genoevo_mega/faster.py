"""Meta-World's step with less Python, and every result as it was to the last bit.

Stock Meta-World spends more time in Python than in MuJoCo: it turns every contact into an object to find those of the
gripper, wraps one quaternion in scipy's array dispatch, and joins and splits many small arrays for an observation.
:func:`speed_up` replaces those parts of one environment; the tests compare all 50 tasks with stock ones.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

try:
    from scipy.spatial.transform._rotation_cy import from_matrix as _quaternion
except ImportError:  # scipy arranges its modules otherwise: slower, the same numbers

    def _quaternion(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(Rotation.from_matrix(matrix).as_quat())


def speed_up(environment: Any) -> None:
    """Replace the slow parts of one Meta-World environment."""
    pads = [environment.data.geom(name).id for name in ("leftpad_geom", "rightpad_geom")]
    fingers = [environment.data.body(name) for name in ("rightclaw", "leftclaw")]
    quaternion_of = _with_plain_rotation(type(environment)._get_quat_objects)

    def touching_object(self: Any, object_geom_id: int) -> bool:
        first, second = self.data.contact.geom1, self.data.contact.geom2
        of_object = (first == object_geom_id) | (second == object_geom_id)
        if not of_object.any():
            return False
        force, address = self.data.efc_force, self.data.contact.efc_address
        # Summed one after the other, as stock does: another order could round otherwise.
        return all(sum(force[address[of_object & ((first == pad) | (second == pad))]]) > 0 for pad in pads)

    def current_observation(self: Any) -> npt.NDArray[np.float64]:
        observation = np.zeros(4 + self._obs_obj_max_len)
        observation[:3] = self.get_endeff_pos()
        apart = np.linalg.norm(fingers[0].xpos - fingers[1].xpos) / 0.1
        observation[3] = min(max(apart, 0.0), 1.0)
        positions, quaternions = self._get_pos_objects(), quaternion_of(self)
        objects = len(positions) // 3
        rows = observation[4 : 4 + 7 * objects].reshape(objects, 7)
        rows[:, :3] = positions.reshape(objects, 3)
        rows[:, 3:] = quaternions.reshape(objects, 4)
        return observation

    environment.touching_object = types.MethodType(touching_object, environment)
    environment._get_curr_obs_combined_no_goal = types.MethodType(current_observation, environment)


class _PlainRotation:
    """As much of scipy's Rotation as Meta-World's observations use."""

    def __init__(self, matrix: npt.NDArray[np.float64]) -> None:
        self._matrix = matrix

    from_matrix = classmethod(lambda cls, matrix: cls(matrix))

    def as_quat(self) -> npt.NDArray[np.float64]:
        return _quaternion(self._matrix)


def _with_plain_rotation(function: Any) -> Any:
    # The same function, but for what it finds under the name Rotation.
    names = {**function.__globals__, "Rotation": _PlainRotation}
    return types.FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
