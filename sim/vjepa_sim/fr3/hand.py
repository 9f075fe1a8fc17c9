"""The Franka hand as libfranka's Gripper commands it, with what has been reported of it.

- Until it was homed it does not know how far it opens: `move` fails (franka_ros#276).
- `grasp` fails unless the fingers come to rest within epsilon of the width that was asked for,
  and then lets go of what it has (franka_ros#130, panda-py#50).
- A grasp while something is held, and a move that is blocked, get no answer until `stop`, and
  what is commanded meanwhile waits with them (libfranka#93, franka_ros#264, fairo#1398).
- `stop` releases the pressure (libfranka#111), so what is held may fall.
- It presses with 30 N at least (libfranka#111).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from vjepa_sim.robot import MAX_WIDTH, Robot

LEAST_FORCE, MAX_FORCE = 30.0, 140.0  # N
_MOVING_FORCE = 40.0  # N
_LIMP = 0.02  # N: moves the fingers and holds nothing
_MAX_SPEED = 0.2  # m/s of the width
_HOMING_SPEED = 0.1
_BITE = 0.002  # metres that a grasp closes beyond the width it was asked for, to press there
_GIVES = 0.01  # metres that the fingers open when a grasp has failed
_ARRIVED = 1e-3  # metres of width
_STILL = 5e-4  # metres of width in which the fingers count as standing still …
_STALLED = 0.15  # … after so many seconds

ABORTED = "libfranka gripper: Command aborted!"
FAILED = "libfranka gripper: Command failed!"


@dataclass(kw_only=True)
class Command:
    """One call of libfranka; `ended` is told whether it succeeded, and the exception's text."""

    kind: Literal["homing", "move", "grasp"]
    ended: Callable[[bool, str], None]
    width: float = 0.0  # metres
    speed: float = _HOMING_SPEED  # m/s
    force: float = _MOVING_FORCE  # N
    inner: float = 0.005  # metres
    outer: float = 0.005
    goal: float = field(default=0.0, init=False)  # metres, of the fingers
    last_width: float = field(default=math.nan, init=False)
    last_moved: float = field(default=0.0, init=False)  # seconds


class Hand:
    def __init__(self, *, homed: bool) -> None:
        self.max_width = MAX_WIDTH if homed else 0.0  # as the hand knows it
        self.width = MAX_WIDTH
        self.limp = False  # fingers without any force
        self._running: Command | None = None
        self._waiting: list[Command] = []  # the first one is stuck
        self._holding = False

    def take_over(self, robot: Robot) -> None:
        """The scene was built anew, and may have begun with something between the fingers."""
        self.stop_all()
        self._robot = robot
        self._force = robot.target_force
        self.width = robot.target_width
        self._holding = False

    def start(self, command: Command) -> None:
        if self._waiting:
            self._waiting.append(command)
            return
        self._end(False, ABORTED)
        if command.kind == "grasp" and self._holding:
            self._waiting = [command]
        elif not self._possible(command):
            command.ended(False, FAILED)
        else:
            self._running = command
            self._holding = False
            command.goal = command.width
            if command.kind == "grasp":
                command.goal = max(0.0, command.width - _BITE)
            self._press(command.goal, command.force, command.speed)

    def stop(self) -> None:
        """All commands end, the fingers stay where they are and press no more."""
        self.stop_all()
        self._holding = False
        self._press(self.width, _LIMP)

    def stop_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._end(False, ABORTED)
        for command in waiting:
            command.ended(False, ABORTED)

    def update(self, width: float, now: float) -> None:
        """Look at the fingers; now is seconds."""
        self.width = width
        command = self._running
        if command is None:
            return
        if not abs(width - command.last_width) < _STILL:
            command.last_width, command.last_moved = width, now
        arrived = abs(width - command.goal) < _ARRIVED
        if arrived or now - command.last_moved > _STALLED:
            self._come_to_rest(command, arrived)

    def refresh(self) -> None:
        """Press anew, as `limp` says."""
        self._press(self._robot.target_width, self._force)

    def _possible(self, command: Command) -> bool:
        numbers = command.width, command.speed, command.force, command.inner, command.outer
        known = command.kind != "move" or 0 <= command.width <= self.max_width
        return known and all(map(math.isfinite, numbers))

    def _come_to_rest(self, command: Command, arrived: bool) -> None:
        if command.kind == "grasp":
            inside = -command.inner < self.width - command.width < command.outer
            self._holding = inside and not arrived
            if not inside:
                self._press(min(self.width + _GIVES, MAX_WIDTH), _LIMP)
            self._end(inside)
        elif not arrived:
            if command.kind == "homing":
                self._end(False)
            else:
                self._waiting, self._running = [command], None
        elif command.kind == "homing" and command.goal < MAX_WIDTH:
            command.goal, command.last_width = MAX_WIDTH, math.nan  # closed, and now open
            self._press(command.goal, _MOVING_FORCE)
        else:
            if command.kind == "homing":
                self.max_width = MAX_WIDTH
            self._end(True)

    def _end(self, success: bool, error: str = "") -> None:
        command, self._running = self._running, None
        if command is not None:
            command.ended(success, error)

    def _press(self, width: float, force: float, speed: float = _HOMING_SPEED) -> None:
        self._force = force
        pressing = force if force == _LIMP else min(max(force, LEAST_FORCE), MAX_FORCE)
        self._robot.set_gripper(width, _LIMP if self.limp else pressing)
        self._robot.finger_speed = min(max(speed, 0.01), _MAX_SPEED) / 2
