"""Whether what is measured is the point that is commanded: the tool's pose against TF."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rclpy.node import Node
from rclpy.time import Time

from vjepa_gate.pose import Pose
from vjepa_gate.robots import Robot
from vjepa_gate.ros import stamps

_LOOKS = 60  # after which TF is taken to know nothing of the tool


class ToolCheck:
    """Looks until the two were once the same; TF is not listened to any longer than that."""

    def __init__(self, node: Node, robot: Robot, observe: Callable[[Pose, float], bool]) -> None:
        self._robot, self._observe = robot, observe
        self._resources, self._left = ExitStack(), 0
        try:
            import tf2_ros
        except ImportError:
            node.get_logger().warning(
                "tf2_ros is not installed: the measured pose is not compared with tool_frame"
            )
            return
        self._failure = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer()
        self._resources.callback(tf2_ros.TransformListener(self._buffer, node).unregister)
        self._left = _LOOKS

    def destroy(self) -> None:
        """Stop looking."""
        self._left = 0
        self._resources.close()

    def look(self) -> None:
        """Compare the measured pose with TF, once both are there."""
        if self._left == 0:
            return
        try:
            found = self._buffer.lookup_transform(
                self._robot.base_frame, self._robot.tool_frame, Time()
            )
        except self._failure:
            found = None
        if found is not None and self._agrees(found):
            self.destroy()
            return
        self._left -= found is None
        if self._left == 0:
            self.destroy()

    def _agrees(self, found: Any) -> bool:
        place, turn = found.transform.translation, found.transform.rotation
        try:
            pose = Pose.of((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))
        except ValueError:
            return False
        return self._observe(pose, stamps.seconds(found.header.stamp))
