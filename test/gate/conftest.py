"""A robot, poses, and the judge of a stream of targets."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vjepa_ros.gate.audit import violations
from vjepa_ros.gate.pose import Pose
from vjepa_ros.robots import load_robot


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
        if targets:
            stamps = np.array([target.stamp for target in targets])
            positions = np.array([target.pose.position for target in targets])
            quaternions = np.array([target.pose.rotation for target in targets])
            assert violations(stamps, positions, quaternions, limits) == []

    return judge
