"""Poses of the tool, and where it was at a given time."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vjepa_gate.conventions import (
    ARM_REACH,
    NEAR_UNIT,
    POSITION,
    ROTATION,
    check_quaternion,
    check_state,
)
from vjepa_gate.rotations import (
    Quaternion,
    angle_between,
    between,
    from_euler,
    from_vector,
    inverse,
    multiply,
    rotated,
    to_euler,
)


@dataclass(frozen=True)
class Pose:
    """Of the tool in the base frame."""

    position: np.ndarray  # (3,) metres
    rotation: Quaternion

    @classmethod
    def of(cls, position: Sequence[float], quaternion_xyzw: Quaternion) -> Pose:
        """Raises ValueError for numbers that cannot be a pose."""
        norm = math.hypot(*quaternion_xyzw)
        if not NEAR_UNIT[0] <= norm <= NEAR_UNIT[1]:
            check_quaternion(quaternion_xyzw)
        if not all(math.isfinite(value) for value in position):
            raise ValueError(f"position {list(position)} holds NaN or infinite numbers")
        if max(abs(value) for value in position) > ARM_REACH:
            raise ValueError(
                f"position {list(position)} is beyond any arm's reach: expected metres within "
                f"±{ARM_REACH:g} in the robot's base frame"
            )
        x, y, z, w = quaternion_xyzw
        return cls(np.array(position, float), (x / norm, y / norm, z / norm, w / norm))

    @classmethod
    def of_state(cls, state: np.ndarray) -> Pose:
        """Raises ValueError for numbers that cannot be a state (7,)."""
        check_state(state)
        return cls(state[POSITION], from_euler(state[ROTATION]))

    def inverse(self) -> Pose:
        """The frame that it is in, seen from it."""
        turn = inverse(self.rotation)
        return Pose(-rotated(turn, self.position), turn)

    def state(self, closedness: float) -> np.ndarray:
        """The state (7,) as conventions defines it."""
        state = np.array((*self.position, *to_euler(self.rotation), closedness))
        check_state(state)
        return state


def placed(frame: Pose, pose: Pose) -> Pose:
    """What is at a pose in a frame, in the frame's own frame."""
    position = frame.position + rotated(frame.rotation, pose.position)
    return Pose(position, multiply(frame.rotation, pose.rotation))


def apart(one: Pose, other: Pose) -> tuple[float, float]:
    """Metres and radians between two poses."""
    turn = angle_between(other.rotation, one.rotation)
    return math.dist(one.position.tolist(), other.position.tolist()), turn


class PoseHistory:
    """The measured poses of the last seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stamps: list[float] = []
        self._poses: list[Pose] = []

    def add(self, stamp: float, pose: Pose) -> None:
        """A stamp that is not later than the last one is left out."""
        if self._stamps and stamp < self._stamps[-1] - self._seconds:
            self.forget()  # the clock was set back
        if self._stamps and stamp <= self._stamps[-1]:
            return
        self._stamps.append(stamp)
        self._poses.append(pose)
        if stamp - self._stamps[0] > 2 * self._seconds:
            old = bisect.bisect_left(self._stamps, stamp - self._seconds)
            del self._stamps[:old], self._poses[:old]

    def forget(self) -> None:
        """Drop all poses."""
        self._stamps.clear()
        self._poses.clear()

    def newest(self) -> Pose:
        """Give the pose that was measured last."""
        return self._poses[-1]

    def at(self, stamp: float, tolerance: float) -> Pose | None:
        """The pose then; None if none was measured within the tolerance of that time."""
        after = bisect.bisect_left(self._stamps, stamp)
        near = [
            index
            for index in (after - 1, after)
            if 0 <= index < len(self._stamps) and abs(self._stamps[index] - stamp) <= tolerance
        ]
        if len(near) < 2:
            return self._poses[near[0]] if near else None
        early, late = (self._stamps[index] for index in near)
        start, end = (self._poses[index] for index in near)
        share = (stamp - early) / (late - early)
        turn = from_vector(share * between(start.rotation, end.rotation))
        position = start.position + share * (end.position - start.position)
        return Pose(position, multiply(turn, start.rotation))
