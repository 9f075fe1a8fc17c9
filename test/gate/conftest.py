"""A robot, poses, and the judge of a stream: limits by finite differences of what was sent."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vjepa_ros.gate.pose import Pose
from vjepa_ros.robots import load_robot

STALL = 0.1  # seconds: after such a gap the arm stands still, and starts again


@pytest.fixture(scope="session")
def robot():
    return load_robot("sim")


@pytest.fixture(scope="session")
def limits(robot):
    return robot.limits


@pytest.fixture(scope="session")
def make_pose():
    def make(x=0.5, y=0.0, z=0.3, roll=math.pi, pitch=0.0, yaw=0.0):
        rotation = Rotation.from_euler("xyz", (roll, pitch, yaw))
        return Pose(np.array((x, y, z), float), tuple(rotation.as_quat().tolist()))

    return make


@pytest.fixture(scope="session")
def judge(limits):
    """Asserts that the targets, of one uninterrupted stream, keep all limits."""

    def judge(targets):
        if len(targets) < 3:
            return
        stamps = np.array([target.stamp for target in targets])
        positions = np.array([target.pose.position for target in targets])
        rotations = Rotation.from_quat([target.pose.rotation for target in targets])
        assert (positions >= np.subtract(limits.workspace_low, 1e-6)).all()
        assert (positions <= np.add(limits.workspace_high, 1e-6)).all()
        axes = rotations.apply((0.0, 0.0, 1.0))
        assert np.arccos(np.clip(-axes[:, 2], -1, 1)).max() <= limits.max_tilt + 1e-6

        periods = np.diff(stamps)[:, None]
        between = (periods[1:] + periods[:-1]) / 2
        velocities = np.diff(positions, axis=0) / periods
        turn_velocities = (rotations[1:] * rotations[:-1].inv()).as_rotvec() / periods
        awake = (np.maximum(periods[1:], periods[:-1]) <= STALL)[:, 0]
        # Rotation vectors do not add up over unequal periods.
        even = awake & np.isclose(periods[1:], periods[:-1], rtol=1e-3)[:, 0]
        for rates, speed, acceleration, fair in (
            (velocities, limits.speed, limits.acceleration, awake),
            (turn_velocities, limits.turn_speed, limits.turn_acceleration, even),
        ):
            assert _longest(rates) <= speed * 1.001
            assert _longest((np.diff(rates, axis=0) / between)[fair]) <= acceleration * 1.01

    return judge


def _longest(vectors):
    return np.linalg.norm(vectors, axis=1).max(initial=0)
