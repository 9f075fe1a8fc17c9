"""What the robot tells, from the topics that its YAML names, or from TF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState

from vjepa_gate.pose import Pose
from vjepa_gate.robots import Robot, Topic
from vjepa_gate.ros import stamps
from vjepa_gate.ros.franka_state import FrankaState, Take
from vjepa_gate.ros.qos import of_topic, overridable
from vjepa_gate.ros.thinned import Thinned
from vjepa_gate.ros.transforms import Transforms
from vjepa_gate.serialized import read_stamped


class RobotSide:
    """Calls back with the width between the fingers when it is told, and at each `look` with the
    tool's newest pose.

    Stamps are in seconds; a message without one is as new as its arrival. What cannot be
    used is told to on_fault. What is a part of `state` is not heard beside it.
    """

    def __init__(
        self,
        node: Node,
        robot: Robot,
        on_pose: Callable[[Pose, float], None],
        on_fingers: Callable[[float, float], None],
        on_fault: Callable[[str], None],
        state: FrankaState | None = None,
    ) -> None:
        self._node, self._robot = node, robot
        self._on_pose, self._on_fingers, self._on_fault = on_pose, on_fingers, on_fault
        self._resources = ExitStack()
        self.fast = Thinned(node)  # for other topics of the robot, too
        self._resources.callback(self.fast.destroy)
        pose_topic = robot.topics.current_pose
        if pose_topic is None:
            self._transforms = Transforms(node)
            self._resources.callback(self._transforms.destroy)
        else:
            self.hear(PoseStamped, pose_topic, 7, self._take_pose, state)
        self._subscribe(JointState, robot.topics.joint_states, self._on_joint_states)

    def destroy(self) -> None:
        """Stop listening."""
        self._resources.close()

    def look(self) -> None:
        """Take what came since the last look; a hundred looks a second are enough."""
        self.fast.look()
        if self._robot.topics.current_pose is None:
            self._look_up()

    def hear(
        self, kind: type, topic: Topic, count: int, take: Take, state: FrankaState | None
    ) -> None:
        """A topic of stamped messages with so many numbers, at each look."""
        if state is None or not state.has(topic, take):
            self.fast.subscribe(kind, topic, lambda message: take(*read_stamped(message, count)))

    def _subscribe(self, kind: type, topic: Topic, callback: Callable[[Any], None]) -> None:
        how = overridable(self._node, topic.name, of_topic(topic), "subscription")
        subscription = self._node.create_subscription(kind, topic.name, callback, **how)
        self._resources.callback(self._node.destroy_subscription, subscription)

    def _take_pose(self, stamp: float, frame: str, numbers: Sequence[float]) -> None:
        if frame != self._robot.base_frame:
            self._on_fault(
                f"measured poses are given in frame '{frame}', expected '{self._robot.base_frame}'"
            )
            return
        x, y, z, qx, qy, qz, qw = numbers
        try:
            pose = Pose.of((x, y, z), (qx, qy, qz, qw))
        except ValueError as error:
            self._on_fault(f"measured pose: {error}")
            return
        self._on_pose(pose, stamp or stamps.now(self._node))

    def _on_joint_states(self, message: JointState) -> None:
        positions = dict(zip(message.name, message.position, strict=False))
        fingers = [positions[name] for name in self._robot.gripper.joints if name in positions]
        if len(fingers) < len(self._robot.gripper.joints):
            return  # of other joints: drivers publish the arm's on the same topic
        try:
            stamp = stamps.seconds(message.header.stamp) or stamps.now(self._node)
            self._on_fingers(self._robot.gripper.width(fingers), stamp)
        except ValueError as error:
            self._on_fault(f"{self._robot.topics.joint_states.name}: {error}")

    def _look_up(self) -> None:
        """The tool's pose from TF."""
        try:
            pose, stamp = self._transforms.look_up(self._robot.base_frame, self._robot.tool_frame)
        except (LookupError, ValueError) as error:
            self._on_fault(f"TF: {error}")
            return
        self._on_pose(pose, stamp or stamps.now(self._node))
