"""A gate with a slow arm behind it, poses, and the judge of a stream of targets."""

import itertools
import math
import os

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from audit import violations
from vjepa_gate.admission import Delta
from vjepa_gate.conventions import ACTION_NAMES
from vjepa_gate.gate import Gate
from vjepa_gate.gate_config import GateConfig
from vjepa_gate.isolation import isolate
from vjepa_gate.pose import Pose
from vjepa_gate.robots import load_robot
from vjepa_gate.rotations import from_vector, multiply

isolate()
# rclpy takes a wrong field type for garbage unless it is told to look.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"

PERIOD = 0.01
PLANNER = b"planner"


class Rig:
    """A gate, a clock, and an arm that follows its targets late.

    It sags by `sag` metres, and stands turned from its targets by `lean` radians about x.
    """

    def __init__(self, robot, pose, sag=0.0, lean=0.0, watch_mode=False, **config):
        self.gate = Gate(robot, GateConfig(**config), watch_mode=watch_mode)
        self.gripper, self.hand_goal = robot.gripper, None
        self.base, self.command = robot.base_frame, robot.command
        self.now, self.pose, self.sag, self.width = 100.0, pose, sag, 0.08
        self.lean = from_vector(np.array((lean, 0.0, 0.0)))
        self.frozen_pose = None  # is measured instead
        self.alive = {"pose", "fingers", "camera"}
        self.sequence = itertools.count(1)
        self.targets = []
        self.pass_time(0.05)

    def pass_time(self, seconds):
        for _ in range(round(seconds / PERIOD)):
            self.now += PERIOD
            if "pose" in self.alive:
                self.gate.observe_pose(self.frozen_pose or self.pose, self.now, self.now)
            if "fingers" in self.alive:
                self.gate.observe_fingers(self.width, self.now, self.now)
            if "camera" in self.alive:
                picture = "frozen" if "frozen" in self.alive else self.now
                self.gate.observe_image(self.now, picture, self.now)
            target = self.gate.tick(self.now)
            if target is not None:
                self.targets.append(target)
                self._follow(target)

    def jump(self, pose):
        """The arm is elsewhere at once, and stays there whatever it is told."""
        self._follow = lambda target: None
        self.pose = pose

    def _follow(self, target):
        if self.command == "twist":
            turn = from_vector(PERIOD * target.turn_velocity)
            position = self.pose.position + PERIOD * target.velocity
            self.pose = Pose(position, multiply(turn, self.pose.rotation))
            return
        wanted = target.pose.position - (0, 0, self.sag)
        position = self.pose.position + 0.2 * (wanted - self.pose.position)
        self.pose = Pose(position, multiply(self.lean, target.pose.rotation))

    def send(self, publishers=(PLANNER,), age=0.0, **values):
        how = {
            "frame": self.base,
            "image_stamp": self.now - age,
            "sequence": next(self.sequence),
            "duration": 0.5,
        }
        how |= {name: values.pop(name) for name in list(values) if name not in ACTION_NAMES}
        numbers = [values.get(name, 0.0) for name in ACTION_NAMES]
        self.hand_goal = self.gate.command(Delta(action=numbers, **how), publishers, self.now)
        return self.hand_goal and self.gripper.command(self.hand_goal.width)

    def status(self):
        return self.gate.status(self.now)

    def holds_still(self, seconds=0.5):
        """Whether the targets, once braked, stay where they are, or there are none."""
        self.pass_time(0.27)
        if not self.targets:
            self.pass_time(seconds)
            return not self.targets
        position = self.targets[-1].pose.position
        self.pass_time(seconds)
        return self.targets[-1].pose.position == pytest.approx(position, abs=1e-9)


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


@pytest.fixture(scope="session")
def make_rig(robot, make_pose):
    return lambda pose=None, robot=robot, **how: Rig(robot, pose or make_pose(), **how)


@pytest.fixture
def rig(make_rig):
    return make_rig()
