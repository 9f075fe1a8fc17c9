"""Whether what is measured is the point that is commanded: the tool's pose against TF."""

from collections.abc import Callable

from rclpy.node import Node

from vjepa_gate.pose import Pose
from vjepa_gate.robots import Robot
from vjepa_gate.ros.transforms import Transforms

_LOOKS = 60  # after which TF is taken to know nothing of the tool


class ToolCheck:
    """Looks until the two were once the same; TF is not listened to any longer than that."""

    def __init__(self, node: Node, robot: Robot, observe: Callable[[Pose, float], bool]) -> None:
        self._robot, self._observe = robot, observe
        self._transforms, self._left = Transforms(node), _LOOKS

    def destroy(self) -> None:
        """Stop looking."""
        self._left = 0
        self._transforms.destroy()

    def look(self) -> None:
        """Compare the measured pose with TF, once both are there."""
        if self._left == 0:
            return
        try:
            found = self._transforms.look_up(self._robot.base_frame, self._robot.tool_frame)
        except (LookupError, ValueError):
            self._left -= 1
        else:
            self._left = 0 if self._observe(*found) else self._left
        if self._left == 0:
            self.destroy()
