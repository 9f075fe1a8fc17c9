"""The last word before the arm: which actions are carried out, and what is sent meanwhile.

An action says where the tool should be relative to where it WAS at the image that it was
planned from. So its goal is the measured pose at the image's time, changed by the action,
not the last target changed by it: targets lead an arm under impedance control, by what its
friction and what it touches take, and adding actions to targets would add up that lead. It
also bounds the force on an arm that is held up, to stiffness × (the longest step). The
stream of targets itself runs on from its own last target, which keeps it smooth.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from vjepa_gate.conventions import (
    GRIPPER,
    apply_action,
    check_action,
    closedness_from_width,
    width_from_closedness,
)
from vjepa_gate.gate_config import GateConfig
from vjepa_gate.limits import confine, limit_action, tilt
from vjepa_gate.pose import Pose, PoseHistory
from vjepa_gate.robots import Robot
from vjepa_gate.rotations import z_axis
from vjepa_gate.status import Status
from vjepa_gate.stream import Target, TargetStream
from vjepa_gate.watchdog import FrozenCamera, Watchdog

HINDRANCE = "hindrance"  # of the status' values: why no action is taken, or nothing
CLOCK_TOLERANCE = 0.05  # seconds that a stamp may lie in the future

# Where the arm may stand outside its limits, by noise and sag, and still be taken up.
_START_SLACK = 0.01  # metres and radians
_TWIST_SETTLE = 0.25  # seconds, well above the latency of a measured pose
_FAREWELLS = 5  # times that the last target is sent before silence: one message may get lost

# franka_msgs/FrankaRobotState: robot_mode.
MOVING_MODE = 2
_MODES = {
    0: "other",
    1: "idle",
    2: "move",
    3: "guiding",
    4: "reflex",
    5: "user stop",
    6: "error recovery",
}
_LATCHING_MODES = (4, 5)  # the arm goes on after `resume` only


class Refused(ValueError):
    """An action that is not carried out; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Delta:
    """vjepa_msgs/EndEffectorDelta, stamps in seconds."""

    action: Sequence[float]  # 7
    frame: str
    image_stamp: float
    sequence: int
    duration: float


class Gate:
    """Is told what arrives, and asked for a target at each tick."""

    def __init__(self, robot: Robot, config: GateConfig, *, watch_mode: bool = False) -> None:
        self._robot, self._config = robot, config
        self._history = PoseHistory(config.max_image_age + 1)
        self._stream: TargetStream | None = None
        self._closedness = 0.0
        self._pose_watch = Watchdog("measured pose", config.max_state_age)
        self._mode_watch = Watchdog("robot mode", config.max_state_age)
        self._state_watches = [self._pose_watch, *([self._mode_watch] if watch_mode else [])]
        self._finger_watch = Watchdog("finger position", config.max_state_age)
        self._camera_watch = Watchdog("camera image", config.max_camera_age)
        self._frozen_camera = FrozenCamera()
        self._deadman_watch = Watchdog("deadman signal", config.max_deadman_age)
        self._deadman_pressed = False
        self._mode = MOVING_MODE
        self._intruders: list[str] = []
        self._planners = 0
        self._left, self._farewells = False, 0
        self._stopped = self._pose_fault = self._gripper_fault = ""
        self._publisher: Hashable = None
        self._sequence = 0
        self._image_stamp = self._sent_stamp = 0.0
        self._accepted_at: float | None = None
        self._last_gripper: float | None = None
        self._accepted = self._refused = self._shortened = 0
        self._refusal = ""

    # --- what arrives --------------------------------------------------------------------

    def observe_pose(self, pose: Pose, stamp: float, now: float) -> None:
        self._history.add(stamp, pose)
        self._pose_watch.feed(stamp, now)
        self._pose_fault = ""

    def observe_bad_pose(self, why: str) -> None:
        """A pose that cannot be used: it is no news of the arm."""
        self._pose_fault = why

    def observe_fingers(self, width: float, stamp: float, now: float) -> None:
        """Raises ValueError for a width that the gripper cannot have."""
        self._closedness = closedness_from_width(width, self._robot.gripper.max_width)
        self._finger_watch.feed(stamp, now)

    def observe_image(self, stamp: float, fingerprint: Hashable, now: float) -> None:
        """fingerprint is the same for pictures that are the same, pixel by pixel."""
        self._camera_watch.feed(stamp, now)
        pose = self._history.at(stamp, self._config.max_state_age)
        if pose is not None:
            self._frozen_camera.feed(fingerprint, pose.position)

    def observe_deadman(self, pressed: bool, now: float) -> None:
        self._deadman_pressed = pressed
        self._deadman_watch.feed(now, now)

    def observe_mode(self, mode: int, stamp: float, now: float) -> None:
        self._mode = mode
        self._mode_watch.feed(stamp, now)
        if mode in _LATCHING_MODES:
            self._stopped = f"the robot was in mode {_MODES[mode]}"

    def observe_intruders(self, names: list[str]) -> None:
        """Other nodes that publish targets: two masters would tear at the arm."""
        self._intruders = names

    def observe_planners(self, count: int) -> None:
        """How many nodes publish actions: of two, none is right."""
        self._planners = count

    def command(self, delta: Delta, publishers: Sequence[Hashable], now: float) -> float | None:
        """Head for the action's goal; the gripper's new position, None to leave it as it is.

        publishers are all that could have sent it. Raises Refused.
        """
        try:
            self._check(delta, publishers, now)
            gripper = self._carry_out(delta)
        except Refused as refusal:
            self._refused += 1
            self._refusal = str(refusal)
            raise
        self._publisher, self._sequence = publishers[0], delta.sequence
        self._image_stamp, self._accepted_at = delta.image_stamp, now
        self._accepted += 1
        return gripper

    def hold(self) -> None:
        """Come to rest and wait for the next action."""
        if self._stream is not None:
            self._stream.hold()

    def leave(self) -> None:
        """Come to rest, and send nothing from then on until `enter`."""
        self._left = True

    def enter(self) -> None:
        """Start from where the arm is."""
        self._left = False

    def stop(self, why: str) -> None:
        """Come to rest and refuse all actions until `resume`."""
        self._stopped = why
        self.hold()

    def resume(self) -> None:
        """Take actions again. Raises Refused while the robot itself is stopped."""
        if self._mode in _LATCHING_MODES:
            raise Refused(f"the robot is in mode {_MODES[self._mode]}: release it first")
        self._stopped = ""

    def gripper_failed(self, why: str) -> None:
        """The last goal was not taken: the next action that asks for it sends it again."""
        self._last_gripper, self._gripper_fault = None, why

    def gripper_taken(self) -> None:
        self._gripper_fault = ""

    # --- what is sent --------------------------------------------------------------------

    @property
    def at_rest(self) -> bool:
        return self._stream is None or self._stream.at_rest

    @property
    def silent(self) -> bool:
        return self._stream is None

    def tick(self, now: float) -> Target | None:
        """The target to send; None if none is due, or the arm must be left alone."""
        blind = self._blind(now)
        leaving = self._left or bool(blind)
        if self._stream is None:
            if leaving:
                return None
            self._stream = self._start(now)
        if leaving or self._holds(now) or self._idle(now):
            self._stream.hold()
        if self._robot.command == "twist" and not blind:
            self._stream.correct(self._history.newest())
        target = self._stream.advance(now)
        if target.stamp == self._sent_stamp:
            return None
        self._sent_stamp = target.stamp
        self._farewells = self._farewells + 1 if leaving and self._stream.at_rest else 0
        if self._farewells > _FAREWELLS:
            self._stream = None  # starts again from where the arm is then
        return target

    def status(self, now: float) -> Status:
        """What the gate is doing, and why."""
        blind, holds = self._blind(now), self._holds(now)
        values = self._values(now) | {HINDRANCE: "; ".join(blind + holds)}
        if blind or self._stopped:
            message = f"stopped: {'; '.join(blind + holds)}"
            return Status(level="error", message=message, values=values)
        if holds:
            message = f"holding: {'; '.join(holds)}"
            return Status(level="warning", message=message, values=values)
        if self._gripper_fault:
            message = f"gripper: {self._gripper_fault}"
            return Status(level="warning", message=message, values=values)
        if idle := self._idle(now):
            return Status(level="ok", message=f"holding: {idle}", values=values)
        if self._stream is None or not self._stream.has_goal:
            message = "holding: waiting for the next action"
        else:
            message = "at the goal" if self.at_rest else "moving"
        return Status(level="ok", message=message, values=values)

    def _values(self, now: float) -> dict[str, str]:
        watches = [*self._state_watches, self._finger_watch, self._camera_watch]
        ages = {f"age of {watch.what} (s)": _text(watch.age(now)) for watch in watches}
        counts = {
            "accepted": str(self._accepted),
            "shortened or confined": str(self._shortened),
            "refused": str(self._refused),
            "last refusal": self._refusal,
        }
        return ages | counts

    # --- reasons -------------------------------------------------------------------------

    def _blind(self, now: float) -> list[str]:
        """Why there must be no target at all: the arm may be anywhere when it is back."""
        complaints = [watch.complaint(now) for watch in self._state_watches]
        reasons = [complaint for complaint in complaints if complaint]
        if reasons and self._pose_fault:
            reasons.append(self._pose_fault)
        if self._mode != MOVING_MODE:
            reasons.append(f"the robot is in mode {_MODES.get(self._mode, self._mode)}")
        if self._intruders:
            reasons.append(f"others send targets too: {', '.join(self._intruders)}")
        if self._stream is None and not reasons:
            reasons += self._outside(self._history.newest())
        return reasons

    def _holds(self, now: float) -> list[str]:
        """Why the arm must stay where it is."""
        reasons = [self._stopped] if self._stopped else []
        watches = (self._finger_watch.complaint(now), self._camera_watch.complaint(now))
        reasons += [complaint for complaint in watches if complaint]
        if complaint := self._frozen_camera.complaint():
            reasons.append(complaint)
        if self._planners > 1:
            reasons.append(_too_many(self._planners))
        if self._config.deadman:
            complaint = self._deadman_watch.complaint(now)
            if complaint or not self._deadman_pressed:
                reasons.append(complaint or "the deadman is released")
        return reasons

    def _idle(self, now: float) -> str:
        if self._accepted_at is None:
            return "no action yet"
        age = now - self._accepted_at
        return f"no action for {age:.1f} s" if age > self._config.max_command_age else ""

    def _outside(self, pose: Pose) -> list[str]:
        limits = self._robot.limits
        inside = confine(pose, limits)
        away = np.linalg.norm(inside.position - pose.position)
        lean = tilt(z_axis(pose.rotation))
        if away <= _START_SLACK and lean <= limits.max_tilt + _START_SLACK:
            return []
        x, y, z = pose.position
        return [
            f"the tool at ({x:.3f}, {y:.3f}, {z:.3f}) m, tilted by {lean:.2f} rad, is outside "
            f"its limits, {limits.workspace_low} to {limits.workspace_high} m and "
            f"{limits.max_tilt:g} rad: move it inside by hand"
        ]

    def _check(self, delta: Delta, publishers: Sequence[Hashable], now: float) -> None:
        config, base = self._config, self._robot.base_frame
        if len(publishers) != 1:
            raise Refused(_too_many(len(publishers)))
        known = publishers[0] == self._publisher
        last = self._sequence if known else 0
        if delta.sequence <= last:
            raise Refused(f"sequence {delta.sequence} after {last}: a doubled or late action")
        if known and delta.image_stamp < self._image_stamp:
            raise Refused("its image is older than that of the last action")
        if delta.frame != base:
            raise Refused(f"frame_id is '{delta.frame}', expected '{base}'")
        try:
            check_action(delta.action)
        except ValueError as error:
            raise Refused(str(error)) from error
        if not 0 <= delta.duration <= config.max_command_age:
            raise Refused(
                f"duration is {delta.duration:g} s, expected 0 to {config.max_command_age:g} s "
                "(max_command_age)"
            )
        age = now - delta.image_stamp
        if not -CLOCK_TOLERANCE <= age <= config.max_image_age:
            raise Refused(f"its image is {age:.2f} s old, limit {config.max_image_age:g} s")
        if reasons := self._blind(now) + self._holds(now):
            raise Refused(reasons[0])

    # --- motion --------------------------------------------------------------------------

    def _start(self, now: float) -> TargetStream:
        limits = self._robot.limits
        settle = _TWIST_SETTLE if self._robot.command == "twist" else None
        start = confine(self._history.newest(), limits)
        return TargetStream(limits, 1 / self._config.rate, start, now, settle)

    def _carry_out(self, delta: Delta) -> float | None:
        measured = self._history.at(delta.image_stamp, self._config.max_state_age)
        if measured is None or self._stream is None:
            raise Refused("the arm's pose at its image's time is not known")
        asked = np.array(delta.action, float)
        action = limit_action(asked, self._robot.limits)
        goal_state = apply_action(measured.state(self._closedness), action)
        wanted = Pose.of_state(goal_state)
        goal = confine(wanted, self._robot.limits)
        if goal is not wanted or not np.allclose(action, asked):
            self._shortened += 1
        self._stream.aim(goal, delta.duration)
        return self._gripper_position(float(action[GRIPPER]), float(goal_state[GRIPPER]))

    def _gripper_position(self, change: float, closedness: float) -> float | None:
        """Small changes leave the fingers alone: on an object they stand short of their goal."""
        gripper, last = self._robot.gripper, self._last_gripper
        if abs(change) < gripper.hysteresis:
            return None
        if last is not None and abs(closedness - last) < gripper.hysteresis:
            return None
        self._last_gripper = closedness
        return gripper.command(width_from_closedness(closedness, gripper.max_width))


def _too_many(planners: int) -> str:
    return f"{planners} nodes publish actions, expected one"


def _text(age: float | None) -> str:
    return "never" if age is None else f"{age:.3f}"
