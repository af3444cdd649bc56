"""The code that all tasks of Meta-World share, with less Python: observation, step, contacts, caging, reset."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from metaworld.utils.reward_utils import hamacher_product

from genoevo_mega.envs.fast_metaworld.model import without_visual_meshes
from genoevo_mega.envs.fast_metaworld.names import with_substitutes
from genoevo_mega.envs.fast_metaworld.numbers import norm, tolerance

Array = npt.NDArray[Any]

_LEAST, _MOST = np.full(3, -1, np.float32), np.full(3, 1, np.float32)
_MOCAP_QUATERNION = np.array([1.0, 0.0, 1.0, 0.0])
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION  # everything that a step of MuJoCo depends on, besides the model
_CACHED_HANDS = 256  # states after a reset of the hand, some 2 KB each


@functools.cache
def faster(cls: type) -> type:
    """Return a faster subclass of the class of a Meta-World environment; it requires that the goal is observable."""
    return with_substitutes(cls, FasterEnvironment)


class _ByName(dict[str, Array]):
    """Views of positions in MuJoCo's memory, by name, each looked up once; like stock's, they show present values."""

    def __init__(self, find: Callable[[str], Any]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, name: str) -> Array:
        self[name] = view = self._find(name).xpos
        return view


class FasterEnvironment(SawyerXYZEnv):
    """The class between a task's class and Meta-World's base class."""

    _rehearsing = False

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model = without_visual_meshes(self.fullpath)
        data = mujoco.MjData(model)
        self._bodies, self._sites = _ByName(data.body), _ByName(data.site)
        self._pads = [data.geom(name).id for name in ("leftpad_geom", "rightpad_geom")]
        self._ctrl, self._target = data.ctrl, data.mocap_pos[0]  # the arm follows the only mocap body
        self._hands: dict[bytes, Array] = {}
        return model, data

    # ----------------------------------------------------------------------------------------------------- step

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        """Make stock's step, without the computations whose results nothing reads.

        Left out are mj_rnePostConstraint, the hand's target orientation and the target sites' positions. The
        orientation is set since the reset, and mj_forward computes the positions anew. mj_forward itself stays: the
        solver of the next step starts from its result.
        """
        if self.curr_path_length >= self.max_path_length:
            raise ValueError("You must reset the env manually once truncate==True")
        target = self._target
        moved = target + np.minimum(np.maximum(action[:3], _LEAST), _MOST) * self.action_scale
        np.minimum(np.maximum(moved, self.mocap_low), self.mocap_high, out=target)
        grip = action[-1]
        self._ctrl[0], self._ctrl[1] = grip, -grip
        mujoco.mj_step(self.model, self.data, self.frame_skip)
        mujoco.mj_forward(self.model, self.data)
        self.curr_path_length += 1
        space = self.sawyer_observation_space
        observation = np.minimum(np.maximum(self._get_obs(), space.low), space.high)
        self._last_stable_obs = observation
        reward, info = self.evaluate_state(observation, action)
        return observation.copy(), reward, False, self.curr_path_length == self.max_path_length, info

    def _get_obs(self) -> Array:
        current = self._current()
        observation = np.array([*current, *self._prev_obs, *self._get_pos_goal().tolist()])
        self._prev_obs = current
        return observation

    def _current(self) -> list[float]:
        positions, quaternions = self._get_pos_objects().tolist(), self._get_quat_objects().tolist()
        apart = norm(self._bodies["rightclaw"] - self._bodies["leftclaw"]) / 0.1
        values = [*self._bodies["hand"].tolist(), min(max(float(apart), 0.0), 1.0)]
        values += positions[:3] + quaternions[:4]
        if len(positions) > 3:
            values += positions[3:] + quaternions[4:]
        return values + [0.0] * (4 + self._obs_obj_max_len - len(values))

    def _get_curr_obs_combined_no_goal(self) -> Array:
        return np.array(self._current())

    # ------------------------------------------------------------------------------------- what the rewards read

    def get_endeff_pos(self) -> Array:
        """Return the position of the hand, (3,) float64."""
        return self._bodies["hand"]

    def get_body_com(self, body_name: str) -> Array:
        """Return the position of a body, (3,) float64."""
        return self._bodies[body_name]

    def _get_site_pos(self, site_name: str) -> Array:
        return self._sites[site_name].copy()

    @property
    def tcp_center(self) -> Array:
        """The point between the fingers, (3,) float64."""
        return (self._sites["rightEndEffector"] + self._sites["leftEndEffector"]) / 2.0

    def touching_object(self, object_geom_id: int) -> bool:
        """Return whether both pads press on the object."""
        contact = self.data.contact
        pairs = zip(contact.geom1.tolist(), contact.geom2.tolist(), strict=True)
        touching = [(index, pair) for index, pair in enumerate(pairs) if object_geom_id in pair]
        if not touching:
            return False
        force, address = self.data.efc_force, contact.efc_address
        # Summed in the order of stock: another order could round differently.
        return all(
            sum(float(force[address[index]]) for index, pair in touching if pad in pair) > 0 for pad in self._pads
        )

    def _gripper_caging_reward(
        self,
        action: npt.NDArray[np.float32],
        obj_pos: Array,
        obj_radius: float,
        pad_success_thresh: float,
        object_reach_radius: float,
        xz_thresh: float,
        desired_gripper_effort: float = 1.0,
        high_density: bool = False,
        medium_density: bool = False,
    ) -> Any:
        y, start = float(obj_pos[1]), float(self.obj_init_pos[1])
        sides = [
            tolerance(
                abs(pad - y),
                bounds=(obj_radius, pad_success_thresh),
                margin=abs(abs(pad - start) - pad_success_thresh),
                sigmoid="long_tail",
            )
            for pad in (float(self._bodies["leftpad"][1]), float(self._bodies["rightpad"][1]))
        ]
        tcp = self.tcp_center
        across = tolerance(
            norm(tcp[::2] - obj_pos[::2]),
            bounds=(0, xz_thresh),
            margin=norm(self.obj_init_pos[::2] - self.init_tcp[::2]) - xz_thresh,
            sigmoid="long_tail",
        )
        caging = hamacher_product(hamacher_product(*sides), across)
        # The action is float32, and so are the values computed from it.
        closed = min(max(0, action[-1]), desired_gripper_effort) / desired_gripper_effort
        reward = hamacher_product(caging, closed if caging > 0.97 else 0.0)
        if high_density:
            reward = (reward + caging) / 2
        if medium_density:
            reach = tolerance(
                norm(obj_pos - tcp),
                bounds=(0, object_reach_radius),
                margin=abs(norm(self.obj_init_pos - self.init_tcp) - object_reach_radius),
                sigmoid="long_tail",
            )
            reward = (reward + reach) / 2
        return reward

    # ---------------------------------------------------------------------------------------------------- reset

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Reset as stock does.

        Stock resets the model twice, before and after MuJoCo's data is cleared. Of the first reset only its changes
        of the model and of this object remain. Neither depends on the simulation in it, which is left out.
        """
        self.curr_path_length = 0
        self._rehearsing = True
        self.reset_model()
        self._rehearsing = False
        mujoco.mj_resetData(self.model, self.data)
        observation = self.reset_model()
        self._prev_obs = observation[:18].tolist()
        observation[18:36] = self._prev_obs
        return observation, {}

    def _reset_hand(self, steps: int = 50) -> None:
        """Bring the hand to its first position, by simulation or from the cached result of the same simulation.

        The cache holds the state one step before the end: the last step computes all that depends on a state.
        """
        if not self._rehearsing:
            self._target[:], self.data.mocap_quat[0], self._ctrl[:] = self.hand_init_pos, _MOCAP_QUATERNION, (-1, 1)
            # Tasks move nothing in the model but bodies and sites.
            before = self._state().tobytes() + self.model.body_pos.tobytes()
            if before in self._hands:
                mujoco.mj_setState(self.model, self.data, self._hands[before], _STATE)
            else:
                mujoco.mj_step(self.model, self.data, steps * self.frame_skip - 1)
                if len(self._hands) == _CACHED_HANDS:
                    self._hands.clear()
                self._hands[before] = self._state()
            mujoco.mj_step(self.model, self.data)
        self.init_tcp = self.tcp_center

    def _state(self) -> Array:
        state = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self.data, state, _STATE)
        return state
