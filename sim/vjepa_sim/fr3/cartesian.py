"""The law of crisp_controllers' CartesianController, as far as it matters to who commands it.

It keeps its last target for ever. A target that comes while it is inactive waits, and is what
the arm is pulled to when it becomes active; the frame that a target is given in is not looked
at. Pulling is stiffness times an error that is clipped per axis.
"""

import math

import numpy as np

from vjepa_sim.geometry import quaternion_to_matrix, rotation_about, rotation_vector

_CLIP = np.repeat((0.1, 0.5), 3)  # metres, then radians
_SMOOTHING = 0.010  # seconds in which a new target is faded in

IMPEDANCE = (400.0, 30.0)  # N/m and Nm/rad
GRAVITY_COMPENSATION = (0.0, 30.0)


class CartesianController:
    def __init__(self, stiffness: tuple[float, float]) -> None:
        self._stiffness = np.repeat(stiffness, 3)
        self._damping = 2 * np.sqrt(self._stiffness)
        self._waiting: tuple[np.ndarray, np.ndarray] | None = None
        self.position, self.rotation = np.zeros(3), np.eye(3)

    def take(self, position: np.ndarray, quaternion_xyzw: np.ndarray) -> None:
        self._waiting = position, quaternion_to_matrix(quaternion_xyzw)

    def forget(self) -> None:
        self._waiting = None

    def activate(self, position: np.ndarray, rotation: np.ndarray) -> None:
        """Start from where the tool is; a target that waits is followed all the same."""
        self.position, self.rotation = position, rotation
        self._target = position, rotation

    def wrench(
        self, position: np.ndarray, rotation: np.ndarray, twist: np.ndarray, period: float
    ) -> np.ndarray:
        """What pulls the tool (6,), for its pose and twist."""
        if self._waiting is not None:
            self._target, self._waiting = self._waiting, None
        share = 1 - math.exp(-period / _SMOOTHING)
        turn = rotation_vector(self._target[1] @ self.rotation.T)
        self.position = self.position + share * (self._target[0] - self.position)
        self.rotation = rotation_about(share * turn) @ self.rotation
        error = np.concatenate(
            (self.position - position, rotation_vector(self.rotation @ rotation.T))
        )
        return self._stiffness * np.clip(error, -_CLIP, _CLIP) - self._damping * twist
