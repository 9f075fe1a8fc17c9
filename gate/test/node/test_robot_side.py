"""Poses and fingers as the robot tells them, good and bad."""

import dataclasses
import math
import types

import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage

from vjepa_gate.robots import load_robot
from vjepa_gate.ros.robot_side import RobotSide
from vjepa_gate.serialized import read_stamped, write_stamped

SIM = load_robot("sim")


@pytest.fixture(scope="module")
def node():
    context = Context()
    context.init()
    node = Node("listens", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


@pytest.fixture
def listen(node):
    """A RobotSide and what it told, as lists."""
    sides = []

    def listen(robot=SIM):
        told = types.SimpleNamespace(poses=[], widths=[], faults=[])
        side = RobotSide(
            node,
            robot,
            on_pose=lambda *pose: told.poses.append(pose),
            on_fingers=lambda *width: told.widths.append(width),
            on_fault=told.faults.append,
        )
        sides.append(side)
        return side, told

    yield listen
    for side in sides:
        side.destroy()


def told_pose(frame="base", x=0.4, w=0.0, stamp=7.0):
    """Stamp, frame and numbers, as they come in a message."""
    return read_stamped(write_stamped(stamp, frame, (x, 0.0, 0.0, 1.0, 0.0, 0.0, w)), 7)


def test_a_pose(listen):
    side, told = listen()
    side._take_pose(*told_pose())
    ((pose, stamp),) = told.poses
    assert (pose.position.tolist(), pose.rotation, stamp) == ([0.4, 0, 0], (1, 0, 0, 0), 7.0)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"frame": "world"}, "frame 'world', expected 'base'"), ({"x": math.nan}, "NaN"),
     ({"w": 1.0}, "quaternion of norm")],
)  # fmt: skip
def test_a_pose_that_cannot_be_used(listen, wrong, why):
    side, told = listen()
    side._take_pose(*told_pose(**wrong))
    assert not told.poses
    assert why in told.faults[0]


def test_without_a_stamp_a_message_is_as_new_as_its_arrival(listen, node):
    side, told = listen()
    side._take_pose(*told_pose(stamp=0.0))
    assert told.poses[0][1] == pytest.approx(node.get_clock().now().nanoseconds * 1e-9, abs=60)


def test_fingers_among_other_joints(listen):
    side, told = listen()
    names = ["elbow", "panda_finger_joint2", "panda_finger_joint1"]
    message = JointState(name=names, position=[9.0, 0.01, 0.02])
    message.header.stamp.sec = 5
    side._on_joint_states(message)
    side._on_joint_states(JointState(name=["elbow"], position=[9.0]))
    assert told.widths == [(pytest.approx(0.03), 5.0)]


def link(parent, child, stamp=0, *, y=0.0, turn=(0.0, 0.0, 0.0, 1.0)):
    found = TransformStamped(child_frame_id=child)
    found.header.frame_id, found.header.stamp.sec = parent, stamp
    found.transform.translation.y = y
    rotation = found.transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = turn
    return found


def test_the_tool_from_tf(listen):
    """Through moving and fixed links, and a base that is itself somewhere in the world."""
    side, told = listen(load_robot("franka_servo"))
    side.look()
    assert told.faults == ["TF: no transform from fr3_link0 to fr3_hand_tcp: TF is silent"]
    half = math.sqrt(0.5)
    fixed = [link("world", "fr3_link0", y=5.0), link("hand", "fr3_hand_tcp", y=0.1)]
    side._transforms._note(TFMessage(transforms=fixed), True)
    side.look()
    assert "to fr3_hand_tcp: TF has 2 frames below hand, world" in told.faults[-1]
    moving = link("fr3_link0", "hand", 3, y=0.2, turn=(half, 0.0, 0.0, half))
    side._transforms._note(TFMessage(transforms=[moving]), False)
    side.look()
    ((pose, stamp),) = told.poses
    assert pose.position.tolist() == pytest.approx([0, 0.2, 0.1])  # y of the hand is z of the base
    assert (pose.rotation, stamp) == (pytest.approx((half, 0, 0, half)), 3.0)


def test_grippers_that_are_told_by_their_total_width(listen):
    gripper = dataclasses.replace(SIM.gripper, position="total", joints=("width",))
    side, told = listen(dataclasses.replace(SIM, gripper=gripper))
    side._on_joint_states(JointState(name=["width"], position=[0.05]))
    assert told.widths[0][0] == pytest.approx(0.05)
