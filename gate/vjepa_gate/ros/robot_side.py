"""What the robot tells, from the topics that its YAML names, or from TF."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from geometry_msgs.msg import PoseStamped, TransformStamped
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import JointState

from vjepa_gate.errors import UserError
from vjepa_gate.pose import Pose
from vjepa_gate.robots import Robot, Topic
from vjepa_gate.ros import stamps
from vjepa_gate.ros.qos import of_topic, overridable

_TF_PERIOD = 0.01  # seconds between two looks


class RobotSide:
    """Calls back with the tool's measured pose and the width between the fingers.

    Stamps are in seconds; a message without one is as new as its arrival. What cannot be
    used is told to on_fault.
    """

    def __init__(
        self,
        node: Node,
        robot: Robot,
        on_pose: Callable[[Pose, float], None],
        on_fingers: Callable[[float, float], None],
        on_fault: Callable[[str], None],
    ) -> None:
        self._node, self._robot = node, robot
        self._on_pose, self._on_fingers, self._on_fault = on_pose, on_fingers, on_fault
        self._resources = ExitStack()
        pose_topic = robot.topics.current_pose
        if pose_topic is None:
            self._listen_to_tf()
        else:
            self._subscribe(PoseStamped, pose_topic, self._on_pose_message)
        self._subscribe(JointState, robot.topics.joint_states, self._on_joint_states)

    def destroy(self) -> None:
        """Stop listening."""
        self._resources.close()

    def _subscribe(self, kind: type, topic: Topic, callback: Callable[[Any], None]) -> None:
        how = overridable(self._node, topic.name, of_topic(topic), "subscription")
        subscription = self._node.create_subscription(kind, topic.name, callback, **how)
        self._resources.callback(self._node.destroy_subscription, subscription)

    def _on_pose_message(self, message: PoseStamped) -> None:
        if message.header.frame_id != self._robot.base_frame:
            self._on_fault(
                f"measured poses are given in frame '{message.header.frame_id}', "
                f"expected '{self._robot.base_frame}'"
            )
            return
        position, orientation = message.pose.position, message.pose.orientation
        self._tell_pose(position, orientation, stamps.seconds(message.header.stamp))

    def _tell_pose(self, position: Any, orientation: Any, stamp: float) -> None:
        try:
            pose = Pose.of(
                (position.x, position.y, position.z),
                (orientation.x, orientation.y, orientation.z, orientation.w),
            )
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

    # --- TF ------------------------------------------------------------------------------

    def _listen_to_tf(self) -> None:
        try:
            import tf2_ros
        except ImportError as error:
            raise UserError(
                "tf2_ros is not installed, and topics.current_pose is null: install "
                "ros-$ROS_DISTRO-tf2-ros-py, or name a topic with the pose of the tool"
            ) from error
        self._lookup_failure = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer()
        listener = tf2_ros.TransformListener(self._buffer, self._node)
        self._resources.callback(listener.unregister)
        timer = self._node.create_timer(_TF_PERIOD, self._look_up)
        self._resources.callback(self._node.destroy_timer, timer)

    def _look_up(self) -> None:
        frames = self._robot.base_frame, self._robot.tool_frame
        try:
            transform: TransformStamped = self._buffer.lookup_transform(*frames, Time())
        except self._lookup_failure as error:
            self._on_fault(f"TF from {frames[0]} to {frames[1]}: {error}")
            return
        stamp = stamps.seconds(transform.header.stamp)
        self._tell_pose(transform.transform.translation, transform.transform.rotation, stamp)
