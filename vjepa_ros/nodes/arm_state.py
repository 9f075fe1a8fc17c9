"""The arm's state at the time of a picture."""

import threading
from collections import deque

import torch
from rclpy.node import Node
from torch import Tensor

from vjepa_gate.conventions import closedness_from_width
from vjepa_gate.pose import Pose, PoseHistory, apart
from vjepa_gate.robots import Robot
from vjepa_gate.ros.robot_side import RobotSide
from vjepa_gate.ros.timers import steady_timer

_SECONDS = 10.0  # that poses are kept
_PERIOD = 0.01  # seconds between two looks at the robot
_TOLERANCE = 0.25  # seconds between a picture and the pose next to it
_STILL = 0.001  # metres that an arm at rest may move


class ArmState:
    """Listens to the robot, and remembers where the tool was."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self._max_width = robot.gripper.max_width
        self._history = PoseHistory(_SECONDS)
        self._widths: deque[tuple[float, float]] = deque()  # stamp, metres; the newest last
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
            if pose is None or not self._widths:
                return None
            closedness = closedness_from_width(self._widths[-1][1], self._max_width)
            return torch.from_numpy(pose.state(closedness)).float()

    def rests(self, stamp: float, seconds: float) -> bool:
        """Whether tool and fingers were still for so many seconds before that time."""
        with self._lock:
            now = self._history.at(stamp, _TOLERANCE)
            before = self._history.at(stamp - seconds, _TOLERANCE)
            widths = [width for at, width in self._widths if stamp - seconds <= at <= stamp]
        if now is None or before is None or apart(now, before)[0] >= _STILL:
            return False
        return not widths or max(widths) - min(widths) < _STILL

    def complaint(self) -> str:
        """Why there may be no state."""
        with self._lock:
            if self._fault:
                return self._fault
            return "no pose of the tool" if self._widths else "no finger positions yet"

    def _on_pose(self, pose: Pose, stamp: float) -> None:
        with self._lock:
            self._history.add(stamp, pose)

    def _on_fingers(self, width: float, stamp: float) -> None:
        with self._lock:
            while self._widths and not stamp - _SECONDS < self._widths[0][0] <= stamp:
                self._widths.popleft()  # old, or the clock was set back
            self._widths.append((stamp, width))

    def _on_fault(self, why: str) -> None:
        with self._lock:
            self._fault = why
