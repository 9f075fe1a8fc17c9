"""Whether an arm follows the velocities that it is sent, as far as its measured poses tell.

A velocity goes on whether or not the measured pose is true. So what was commanded is added up
beside what was measured: the difference is how far the arm may be from where it seems to be.
An arm that is slower than asked, as one is near a singularity, makes the difference grow, too:
each stride that it is seen to make takes a tenth of it away again.
"""

import math

import numpy as np

from vjepa_gate.pose import Pose, apart
from vjepa_gate.rotations import between, from_vector, multiply
from vjepa_gate.stream import Target

_FORGIVEN = 0.1  # of the difference, for each stride
_STRIDE, _TURN_STRIDE = 0.01, 0.05  # metres and radians; well above the noise of a pose
_LONGEST = 0.1  # seconds after which the arm's controller stops without a new velocity


class Following:
    """Whether a measured pose goes where velocities were commanded."""

    def __init__(self, measured: Pose, now: float) -> None:
        self._offset = self._turn_offset = np.zeros(3)  # commanded less measured
        self._measured = measured
        self.rest(measured, now)

    def rest(self, measured: Pose, now: float) -> None:
        """Go on from an arm that rests where others moved it, or where it was commanded to.

        The second where that explains more: poses that were not believed for a while.
        """
        moved = measured.position - self._measured.position
        turned = between(self._measured.rotation, measured.rotation)
        self._offset = min(self._offset, self._offset - moved, key=np.linalg.norm)
        self._turn_offset = min(self._turn_offset, self._turn_offset - turned, key=np.linalg.norm)
        self._measured = self._stride_start = self._turn_start = measured
        self._velocity = self._turn_velocity = np.zeros(3)
        self._time = now

    @property
    def missing(self) -> tuple[float, float]:
        """Metres and radians that were commanded and not seen."""
        return math.sqrt(self._offset @ self._offset), math.sqrt(
            self._turn_offset @ self._turn_offset
        )

    @property
    def commanded(self) -> Pose:
        """Where the arm is if it did all that it was told."""
        turned = multiply(from_vector(self._turn_offset), self._measured.rotation)
        return Pose(self._measured.position + self._offset, turned)

    def observe(self, measured: Pose, now: float) -> None:
        """Before each tick: the newest pose, and the time for which the last velocity went on."""
        seconds = min(max(now - self._time, 0.0), _LONGEST)
        self._time = now
        moved = measured.position - self._measured.position
        turned = between(self._measured.rotation, measured.rotation)
        self._offset = self._offset + self._velocity * seconds - moved
        self._turn_offset = self._turn_offset + self._turn_velocity * seconds - turned
        self._measured = measured
        if apart(measured, self._stride_start)[0] >= _STRIDE:
            self._stride_start = measured
            self._offset = (1 - _FORGIVEN) * self._offset
        if apart(measured, self._turn_start)[1] >= _TURN_STRIDE:
            self._turn_start = measured
            self._turn_offset = (1 - _FORGIVEN) * self._turn_offset

    def command(self, target: Target) -> None:
        """Note a target that was sent."""
        self._velocity, self._turn_velocity = target.velocity, target.turn_velocity
