"""The last word before the arm: which actions are carried out, and what is sent meanwhile.

An action says where the tool should be relative to where it WAS at the image that it was
planned from. So its goal is the measured pose at the image's time, changed by the action,
not the last target changed by it: targets lead an arm under impedance control, by what its
friction and what it touches take, and adding actions to targets would add up that lead. A turn
that no action asks for must not add up either, and nobody sees it and turns back: where an
action asks for none and the arm only lags, its goal keeps the turn of the goal before. The
stream of targets itself runs on from its own last target, which keeps it smooth.

No target is farther from the measured pose than one longest action and the arm's lag: that
bounds the force on an arm that is held up, to stiffness × (max_step + lag). An arm that is
farther away, led by hand or pushed, is let go, and taken up again where it comes to rest.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from vjepa_gate.admission import Admission, Delta, Refused
from vjepa_gate.conventions import GRIPPER, ROTATION, apply_action
from vjepa_gate.following import Following
from vjepa_gate.gate_config import GateConfig
from vjepa_gate.hand import HandGoal, HandResult, make_hand
from vjepa_gate.keep_out import KeepOut
from vjepa_gate.limits import confine, limit_action, outside
from vjepa_gate.measured import MODES, MeasuredArm
from vjepa_gate.pose import Pose, apart
from vjepa_gate.robots import Robot
from vjepa_gate.status import Status
from vjepa_gate.stream import MADE_GOOD, Target, TargetStream
from vjepa_gate.surroundings import Surroundings
from vjepa_gate.watchdog import CLOCK_TOLERANCE

# Of the status' values: why no action is taken, or nothing; and the last one that was.
HINDRANCE, ACCEPTED = "hindrance", "last accepted sequence"

_TWIST_SETTLE = 0.25  # seconds, well above the latency of a measured pose
_FAREWELLS = 5  # times that the last target is sent before silence: one message may get lost
_LATCHING_MODES = (4, 5)  # reflex, user stop: the arm goes on after `resume` only


class Gate:
    """Is told what arrives, and asked for a target at each tick."""

    def __init__(self, robot: Robot, config: GateConfig, *, watch_mode: bool = False) -> None:
        self._robot, self._config = robot, config
        # In a dry run no arm follows: velocities are then those between targets, as of poses.
        self._closes_loop = robot.command == "twist" and not config.dry_run
        self._arm = MeasuredArm(
            config.max_state_age, config.max_image_age + 1, watch_mode=watch_mode
        )
        self._hand = make_hand(robot.gripper, home=config.home_hand)
        self._surroundings = Surroundings(config)
        self.keep_out = KeepOut(robot)
        self._admission = Admission(robot.base_frame, config.max_image_age, config.max_command_age)
        self._stream: TargetStream | None = None
        self._following: Following | None = None  # in twist mode, beside the stream
        self._intruders: list[str] = []
        self._awake = False  # since the first accepted action
        self._left = self._touched = False
        self._farewells = 0
        self._stopped = self._let_go = ""
        self._now, self._sent_stamp = float("-inf"), float("-inf")
        self._accepted_at: float | None = None
        self._sequence = self._accepted = self._refused = self._shortened = self._lost = 0
        self._refusal = ""

    # --- what arrives --------------------------------------------------------------------

    def observe_pose(self, pose: Pose, stamp: float, now: float) -> None:
        """Take news of where the tool is."""
        self._look_at_clock(now)
        self._arm.observe_pose(pose, stamp, now)
        if self._arm.at_rest(now):
            self._let_go = ""

    def observe_bad_pose(self, why: str) -> None:
        """A pose that cannot be used: it is no news of the arm."""
        self._arm.observe_bad_pose(why)

    def observe_pose_sources(self, names: list[str]) -> None:
        """Who publishes measured poses: of two, none is right."""
        self._arm.observe_sources(names)

    def observe_tool(self, pose: Pose, stamp: float) -> bool:
        """Where TF says that the tool frame was; whether that is what was measured then."""
        return self._arm.observe_tool(pose, stamp, self._robot.tool_frame)

    def observe_fingers(self, width: float, stamp: float, now: float) -> None:
        """Raises ValueError for a width that the gripper cannot have."""
        self._look_at_clock(now)
        self._hand.observe(width)
        self._surroundings.observe_fingers(stamp, now)

    def observe_image(self, stamp: float, fingerprint: Hashable, now: float) -> None:
        """fingerprint is the same for pictures that are the same, pixel by pixel."""
        self._look_at_clock(now)
        tool = None if self._arm.doubt else self._arm.pose_at(stamp)
        self._surroundings.observe_image(stamp, fingerprint, tool, now)

    def observe_deadman(self, pressed: bool, now: float) -> None:
        """Take news of the deadman's button."""
        self._look_at_clock(now)
        self._surroundings.observe_deadman(pressed, now)

    def observe_mode(self, mode: int, stamp: float, now: float) -> None:
        """Take news of the robot's mode; a reflex or a user stop latches."""
        self._look_at_clock(now)
        self._arm.observe_mode(mode, stamp, now)
        if mode in _LATCHING_MODES:
            self._stopped = f"the robot was in mode {MODES[mode]}"

    def observe_wrench(self, force: float, torque: float) -> None:
        """The lengths of the external wrench on the tool, N and Nm, as the robot estimates it."""
        limits = self._robot.contact
        if limits is not None and not (force <= limits.max_force and torque <= limits.max_torque):
            self._touch(
                f"the tool was pushed with {force:.1f} N and {torque:.1f} Nm, limits "
                f"{limits.max_force:g} N and {limits.max_torque:g} Nm"
            )

    def observe_collision(self, detected: bool) -> None:
        """Take the robot's own word on collisions."""
        if detected:
            self._touch("the robot detected a collision")

    def observe_intruders(self, names: list[str]) -> None:
        """Other nodes that publish targets: two masters would tear at the arm."""
        self._intruders = names

    def observe_planners(self, count: int) -> None:
        """How many nodes publish actions: of two, none is right."""
        self._surroundings.observe_planners(count)

    def command(self, delta: Delta, publishers: Sequence[Hashable], now: float) -> HandGoal | None:
        """Head for the action's goal; the hand's new goal, None to leave it as it is.

        publishers are all that could have sent it. Raises Refused.
        """
        self._look_at_clock(now)
        try:
            self._admission.check(delta, publishers, now)
            if reasons := self._blind(now) + self._holds(now):
                raise Refused(reasons[0])
            hand_goal = self._carry_out(delta, now)
        except Refused as refusal:
            self._refused += 1
            self._refusal = str(refusal)
            raise
        self._admission.admit(delta, publishers[0])
        self._accepted_at, self._sequence = now, delta.sequence
        self._accepted += 1
        return hand_goal

    def hold(self) -> None:
        """Come to rest and wait for the next action."""
        if self._stream is not None:
            self._stream.hold()

    def leave(self) -> None:
        """Come to rest, and send nothing from then on until `enter`."""
        self._left = True

    def enter(self) -> None:
        """Start from where the arm is, with the first action that is accepted."""
        self._left = self._awake = False

    def stop(self, why: str) -> None:
        """Come to rest and refuse all actions until `resume`."""
        self._stopped = why
        self.hold()

    def resume(self) -> None:
        """Take actions again. Raises Refused while the robot itself is stopped."""
        if self._arm.mode in _LATCHING_MODES:
            raise Refused(f"the robot is in mode {MODES[self._arm.mode]}: release it first")
        self._stopped, self._touched = "", False
        self._following = None  # whoever resumes has looked at the arm

    def hand_due(self, now: float) -> HandGoal | None:
        """What the hand has to do before any action; None for nothing."""
        if self._hand.ready:
            return None
        idle = self._left or self._stopped or self._blind(now) or self._surroundings.holds(now)
        return None if idle else self._hand.due(now)

    def hand_finished(self, goal: HandGoal, result: HandResult) -> None:
        """Take what became of the hand's goal."""
        self._hand.finished(goal, result)

    # --- what is sent --------------------------------------------------------------------

    @property
    def at_rest(self) -> bool:
        """Whether the stream of targets stands still."""
        return self._stream is None or self._stream.at_rest

    @property
    def silent(self) -> bool:
        """Whether nothing is sent."""
        return self._stream is None

    def tick(self, now: float) -> Target | None:
        """The target to send; None if none is due, or the arm must be left alone."""
        self._look_at_clock(now)
        blind = self._blind(now)
        leaving = self._left or bool(blind)
        if self._stream is None:
            if leaving or not self._awake:
                return None
            self._stream = self._start(now)
        if self._closes_loop:
            self._follow(now, measured=not blind)
        if leaving or self._holds(now) or self._idle(now):
            self._stream.hold()
        if not self._closes_loop and self._in_doubt(self._stream.pose):
            return None
        target = self._stream.advance(now)
        if target.stamp == self._sent_stamp:
            return None
        if not self._closes_loop and not self._may_send(target.pose):
            return None
        self._sent_stamp = target.stamp
        if self._following is not None:
            self._following.command(target)
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
        if trouble := self._hand.trouble(now):
            return Status(level="warning", message=f"gripper: {trouble}", values=values)
        if idle := self._idle(now):
            return Status(level="ok", message=f"holding: {idle}", values=values)
        if self._stream is None or not self._stream.has_goal:
            message = "holding: waiting for the next action"
        else:
            message = "at the goal" if self.at_rest else "moving"
        return Status(level="ok", message=message, values=values)

    def _values(self, now: float) -> dict[str, str]:
        watches = [*self._arm.watches, *self._surroundings.watches]
        ages = {f"age of {watch.what} (s)": _text(watch.age(now)) for watch in watches}
        counts = {
            "accepted": str(self._accepted),
            ACCEPTED: str(self._sequence),
            "shortened or confined": str(self._shortened),
            "refused": str(self._refused),
            "last refusal": self._refusal,
            "let go": str(self._lost),
            "gripper": self._hand.trouble(now) or self._hand.doing(),
        }
        return ages | counts

    # --- reasons -------------------------------------------------------------------------

    def _blind(self, now: float) -> list[str]:
        """Why there must be no target at all: the arm may be anywhere when it is back."""
        reasons = self._arm.complaints(now)
        if self._let_go:
            reasons.append(self._let_go)
        if self._intruders:
            reasons.append(f"others send targets too: {', '.join(self._intruders)}")
        if self._stream is None and not reasons:
            doubt = self._arm.doubt or outside(self._arm.pose, self._robot.limits)
            reasons += [doubt] if doubt else []
        return reasons

    def _holds(self, now: float) -> list[str]:
        """Why the arm must stay where it is."""
        reasons = [self._stopped, *self._surroundings.holds(now), self._hand.busy()]
        return [reason for reason in reasons if reason]

    def _idle(self, now: float) -> str:
        if self._accepted_at is None:
            return "no action yet"
        age = now - self._accepted_at
        return f"no action for {age:.1f} s" if age > self._config.max_command_age else ""

    def _look_at_clock(self, now: float) -> None:
        """What was observed before the clock was set back says nothing about now."""
        if now < self._now - CLOCK_TOLERANCE:
            self._arm.forget()
            self._surroundings.forget()
            self._admission.forget_time()
            self._accepted_at = None
            self.hold()
        self._now = now

    # --- motion --------------------------------------------------------------------------

    def _start(self, now: float) -> TargetStream:
        limits = self._robot.limits
        settle = _TWIST_SETTLE if self._closes_loop else None
        start = confine(self._arm.pose, limits)
        if self._following is not None:
            self._following.rest(self._arm.pose, now)
        return TargetStream(limits, 1 / self._config.rate, start, now, settle)

    def _carry_out(self, delta: Delta, now: float) -> HandGoal | None:
        if self._left:
            raise Refused("the arm gate is not active")
        measured = self._arm.pose_at(delta.image_stamp)
        if measured is None:
            raise Refused("the arm's pose at its image's time is not known")
        asked = np.array(delta.action, float)
        action = limit_action(asked, self._robot.limits)
        start = measured
        if self._stream is not None and not action[ROTATION].any():
            start = self._stream.as_told_to_turn(measured)
        goal_state = apply_action(start.state(self._hand.closedness), action)
        wanted = Pose.of_state(goal_state)
        goal = confine(wanted, self._robot.limits)
        if reason := self.keep_out.refusal(measured, goal):
            raise Refused(reason)
        if goal is not wanted or not np.allclose(action, asked):
            self._shortened += 1
        self._awake = True
        if self._stream is None:
            self._stream = self._start(now)
        self._stream.aim(goal, delta.duration)
        return self._hand.plan(float(action[GRIPPER]), float(goal_state[GRIPPER]), now)

    def _in_doubt(self, target: Pose) -> bool:
        """Whether the next target would be too far from a pose that is not believed yet.

        The stream waits meanwhile: of where the arm may be, no target is far from either.
        """
        steps = MADE_GOOD / self._config.rate
        limits, doubted = self._robot.limits, self._arm.doubted
        room = steps * limits.speed, steps * limits.turn_speed
        return doubted is not None and bool(self._too_far(target, doubted, room))

    def _may_send(self, target: Pose) -> bool:
        """Whether the target pulls the arm no harder than it may; if not, the arm is let go."""
        self._let_go = self._too_far(target, self._arm.pose)
        if self._let_go:
            self._stream = None
            self._lost += 1
        return not self._let_go

    def _too_far(self, target: Pose, arm: Pose, room: tuple[float, float] = (0.0, 0.0)) -> str:
        limits = self._robot.limits
        way, turn = apart(target, arm)
        most, most_turn = limits.max_step + limits.lag, limits.max_turn + limits.turn_lag
        if way + room[0] <= most and turn + room[1] <= most_turn:
            return ""
        return (
            f"the arm is {way:.2f} m and {turn:.2f} rad from its target, limits {most:.2f} m and "
            f"{most_turn:.2f} rad: let go until it has come to rest"
        )

    def _follow(self, now: float, *, measured: bool) -> None:
        """Close the loop of velocities by the measured pose, as long as that follows them."""
        assert self._stream is not None
        if self._following is None:
            self._following = Following(self._arm.pose, now)
        following, limits = self._following, self._robot.limits
        following.observe(self._arm.pose, now)
        if measured:
            self._stream.correct(self._arm.pose, following.commanded)
        way, turn = following.missing
        most = min(limits.max_step, limits.speed * _TWIST_SETTLE) + limits.lag
        most_turn = min(limits.max_turn, limits.turn_speed * _TWIST_SETTLE) + limits.turn_lag
        if (way > most or turn > most_turn) and not self._stopped:
            self.stop(
                f"the measured pose does not follow the commands, it is {way:.2f} m and "
                f"{turn:.2f} rad behind, limits {most:.2f} m and {most_turn:.2f} rad: look at the "
                "arm, then call ~/resume"
            )

    def _touch(self, what: str) -> None:
        """Stop, and push no longer: targets start again from where the arm is."""
        self.stop(f"{what}: call ~/resume when it is free")
        if not self._closes_loop and not self._touched:
            self._stream = None
        self._touched = True


def _text(age: float | None) -> str:
    return "never" if age is None else f"{age:.3f}"
