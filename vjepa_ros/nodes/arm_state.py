"""The arm's state at the time of a picture."""

import threading

import torch
from rclpy.node import Node
from torch import Tensor

from vjepa_gate.conventions import closedness_from_width
from vjepa_gate.pose import Pose, PoseHistory
from vjepa_gate.robots import Robot
from vjepa_gate.ros.robot_side import RobotSide
from vjepa_gate.ros.timers import steady_timer

_SECONDS = 10.0  # that poses are kept
_PERIOD = 0.01  # seconds between two looks at the robot
_TOLERANCE = 0.25  # seconds between a picture and the pose next to it


class ArmState:
    """Listens to the robot, and remembers where the tool was."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self._max_width = robot.gripper.max_width
        self._history = PoseHistory(_SECONDS)
        self._closedness: float | None = None
        self._lock = threading.Lock()
        self._fault = ""
        self._robot_side = RobotSide(
            node,
            robot,
            on_pose=self._on_pose,
            on_fingers=self._on_fingers,
            on_fault=self._on_fault,
        )
        self._node, self._timer = node, steady_timer(node, _PERIOD, self._robot_side.look)

    def destroy(self) -> None:
        """Stop listening."""
        self._node.destroy_timer(self._timer)
        self._robot_side.destroy()

    def at(self, stamp: float) -> Tensor | None:
        """The state [7] at that time, float32; None if it is not known.

        The fingers are where they were last: they are told with the poses.
        """
        with self._lock:
            pose = self._history.at(stamp, _TOLERANCE)
            if pose is None or self._closedness is None:
                return None
            return torch.from_numpy(pose.state(self._closedness)).float()

    def complaint(self) -> str:
        """Why there may be no state."""
        with self._lock:
            if self._fault:
                return self._fault
            return "no finger positions yet" if self._closedness is None else "no pose of the tool"

    def _on_pose(self, pose: Pose, stamp: float) -> None:
        with self._lock:
            self._history.add(stamp, pose)

    def _on_fingers(self, width: float, stamp: float) -> None:
        closedness = closedness_from_width(width, self._max_width)
        with self._lock:
            self._closedness = closedness

    def _on_fault(self, why: str) -> None:
        with self._lock:
            self._fault = why
