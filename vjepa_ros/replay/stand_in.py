"""A robot that does nothing but tell where its tool and fingers are, and that it may move."""

from typing import Any

import torch
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseStamped,
    Quaternion,
    TransformStamped,
    Vector3,
)
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from torch import Tensor

from vjepa_gate.measured import MOVING_MODE
from vjepa_gate.robots import Robot
from vjepa_gate.ros.franka_state import state_type
from vjepa_gate.ros.qos import of_topic
from vjepa_ros.conventions import pose_from_state, width_from_closedness


class StandIn:
    """On the topics of a robot's YAML, and with its quality of service."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self._robot, topics = robot, robot.topics
        pose, joints = topics.current_pose, topics.joint_states
        if pose is None:
            self._poses = node.create_publisher(TFMessage, "/tf", QoSProfile(depth=100))
        else:
            self._poses = node.create_publisher(PoseStamped, pose.name, of_topic(pose))
        self._fingers = node.create_publisher(JointState, joints.name, of_topic(joints))
        self._modes: Any = None
        self.topics = [pose.name if pose else "/tf", joints.name]
        if (state := topics.franka_state) and (kind := state_type()):
            self._modes = node.create_publisher(kind, state.name, of_topic(state))
            self.topics.append(state.name)

    def tell(self, state: Tensor, stamp: Any) -> None:
        """Stand there [7], at that time."""
        header = Header(stamp=stamp, frame_id=self._robot.base_frame)
        (x, y, z), (qx, qy, qz, qw), closedness = (part.tolist() for part in pose_from_state(state))
        self._fingers.publish(self._joints(closedness, stamp))
        orientation = Quaternion(x=qx, y=qy, z=qz, w=qw)
        pose = PoseStamped(
            header=header, pose=Pose(position=Point(x=x, y=y, z=z), orientation=orientation)
        )
        if self._modes is not None:
            kind = self._modes.msg_type
            self._modes.publish(kind(header=header, o_t_ee=pose, robot_mode=MOVING_MODE))
        if self._robot.topics.current_pose is not None:
            self._poses.publish(pose)
            return
        link = TransformStamped(header=header, child_frame_id=self._robot.tool_frame)
        link.transform.translation = Vector3(x=x, y=y, z=z)
        link.transform.rotation = orientation
        self._poses.publish(TFMessage(transforms=[link]))

    def _joints(self, closedness: Any, stamp: Any) -> JointState:
        gripper = self._robot.gripper
        width = width_from_closedness(torch.tensor(closedness).double(), gripper.max_width)
        fingers = JointState(name=list(gripper.joints))
        fingers.header.stamp = stamp
        fingers.position = [gripper.command(float(width))] * len(gripper.joints)
        return fingers
