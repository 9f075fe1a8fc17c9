"""The hand: which planned changes of the fingers are carried out, and what became of them.

Two kinds. `gripper_command` takes positions. `franka_hand` opens or grasps: whatever stops the
fingers is held, at a given force. It is told to grasp once, and not again while it holds: a
second grasp hangs, or lets go. What failed is asked again by the next action that wants it.

A franka_hand that was not homed since it was switched on aborts every opening. Its state does not
tell; so one whose fingers are seen open is asked to move them by a millimetre, before any action.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vjepa_gate.conventions import closedness_from_width, width_from_closedness
from vjepa_gate.robots import Gripper

_OPEN, _SHUT = 0.9, 0.02  # of full opening: wider is open, narrower holds nothing
_MOST = 0.75  # of what fingers have left to open: whoever plans so much means all of it
_SLIP = 0.005  # metres that what is held may give way
_PATIENCE = 10.0  # seconds for an answer
_TRIAL = 0.001  # metres that open fingers close, to see whether the hand was homed
_AGAIN = 1.0  # seconds after which a hand that was not there is asked anew


@dataclass(frozen=True, kw_only=True, eq=False)
class HandGoal:
    """What the hand is to do; of two that are alike, each has its own result."""

    kind: Literal["position", "grasp", "open", "home"]
    width: float  # metres between the fingers
    closing: bool = False
    stop_first: bool = False  # what the hand is doing


Outcome = Literal["succeeded", "aborted", "canceled", "refused"]


@dataclass(frozen=True, kw_only=True)
class HandResult:
    """What became of a goal."""

    outcome: Outcome
    stalled: bool = False  # stopped short of its goal
    why: str = ""  # in the hand's own words


def make_hand(gripper: Gripper, *, home: bool = False) -> Hand:
    """Make the hand that a robot's file describes; `home`: it may be homed, where it has to be."""
    if gripper.kind == "franka_hand":
        return GraspingHand(gripper, home=home)
    return PositionHand(gripper)


class Hand:
    """What both kinds share: the newest goal, its result, and what the fingers show of it."""

    def __init__(self, gripper: Gripper) -> None:
        self._gripper = gripper
        self.width = gripper.max_width
        self._goal: HandGoal | None = None
        self._asked_at: float | None = None  # while there is no result
        self._held: float | None = None  # metres
        self._fault = ""

    @property
    def ready(self) -> bool:
        """Whether nothing is due before any action."""
        return True

    @property
    def closedness(self) -> float:
        """As it was measured last: 0 open, 1 closed."""
        return closedness_from_width(self.width, self._gripper.max_width)

    def observe(self, width: float) -> None:
        """Raises ValueError for a width that the gripper cannot have."""
        closedness_from_width(width, self._gripper.max_width)
        self.width = width
        if self._held is not None and width < self._held - _SLIP:
            held, self._held = _mm(self._held), None
            self._fault = f"what it held at {held} is lost, the fingers are at {_mm(width)}"

    def plan(self, change: float, closedness: float, now: float) -> HandGoal | None:
        """The goal to send for a planned change that leads to a closedness; None for none."""
        goal = self._wanted(change, closedness)
        if goal is not None:
            self._goal, self._asked_at, self._held = goal, now, None
        return goal

    def finished(self, goal: HandGoal, result: HandResult) -> None:
        """Note what became of a goal."""
        if goal is not self._goal:
            return  # another was sent meanwhile
        self._asked_at, self._fault = None, ""
        if result.outcome == "succeeded" and not (result.stalled and not goal.closing):
            if goal.closing and self.width > _SHUT * self._gripper.max_width:
                self._held = self.width if result.stalled or goal.kind == "grasp" else None
            return
        what = "homing" if goal.kind == "home" else "closing" if goal.closing else "opening"
        ended = "stalled" if result.outcome == "succeeded" else result.outcome
        why = f": {result.why}" if result.why else ""
        self._fault = f"{what} was {ended}, the fingers are at {_mm(self.width)}{why}"
        self._goal = None

    def due(self, now: float) -> HandGoal | None:
        """What it has to do before any action; None for nothing."""
        return None

    def busy(self) -> str:
        """Why it cannot take part in an action yet, or nothing."""
        return ""

    def trouble(self, now: float) -> str:
        """What is wrong with it, or nothing."""
        if self._asked_at is not None and now - self._asked_at > _PATIENCE:
            return f"no answer for {now - self._asked_at:.0f} s to its last goal"
        return self._fault

    def doing(self) -> str:
        """Say what it does, for a person."""
        if self._held is not None:
            return f"holding {_mm(self._held)}"
        if self._asked_at is not None and self._goal is not None:
            return "closing" if self._goal.closing else "opening"
        return f"at {_mm(self.width)}"

    def _wanted(self, change: float, closedness: float) -> HandGoal | None:
        raise NotImplementedError


class PositionHand(Hand):
    """control_msgs/GripperCommand: any width, held with at most a given force."""

    def __init__(self, gripper: Gripper) -> None:
        super().__init__(gripper)
        self._stood = 0.0  # metres from the last goal, at which the fingers came to rest

    def observe(self, width: float) -> None:
        """Raises ValueError for a width that the gripper cannot have."""
        super().observe(width)
        if self._asked_at is None and self._goal and self._left(self._goal) > self._stood + _SLIP:
            self._goal = self._held = None  # somebody else has moved them

    def finished(self, goal: HandGoal, result: HandResult) -> None:
        """Note what became of a goal."""
        if goal is self._goal:
            self._stood = self._left(goal)
        super().finished(goal, result)

    def _left(self, goal: HandGoal) -> float:
        return abs(self.width - goal.width)

    def _wanted(self, change: float, closedness: float) -> HandGoal | None:
        """Small changes leave the fingers alone: on an object they stand short of their goal."""
        gripper, last = self._gripper, self._goal
        width = width_from_closedness(closedness, gripper.max_width)
        step = gripper.hysteresis * gripper.max_width
        if abs(change) < gripper.hysteresis or (last and abs(width - last.width) < step):
            return None
        if self._held is not None and last is not None and width < last.width:
            return None  # the force is on already
        return HandGoal(kind="position", width=width, closing=change > 0)


class GraspingHand(Hand):
    """franka_msgs Grasp, Move and Homing: closed on whatever there is, or open."""

    def __init__(self, gripper: Gripper, *, home: bool) -> None:
        super().__init__(gripper)
        self._may_home = home  # once
        self._homed: bool | None = None  # None: not known
        self._seen, self._asked_last = False, float("-inf")

    def observe(self, width: float) -> None:
        """Raises ValueError for a width that the gripper cannot have."""
        super().observe(width)
        self._seen = True

    @property
    def ready(self) -> bool:
        """Whether it is known that it was homed, or that it may not be."""
        return self._homed is not None and (self._homed or not self._may_home)

    def due(self, now: float) -> HandGoal | None:
        """Find out whether it was homed, and home it if it may be."""
        if self._asked_at is not None or now - self._asked_last < _AGAIN:
            return None
        if self._homed is None and self._seen and self._wide():
            goal = HandGoal(kind="open", width=self.width - _TRIAL)
        elif self._homed is False and self._may_home:
            goal = HandGoal(kind="home", width=self._gripper.max_width)
        else:
            return None
        self._goal, self._asked_at, self._asked_last = goal, now, now
        return goal

    def busy(self) -> str:
        """Tell that it is being homed, or about to be."""
        if self._goal is not None and self._goal.kind == "home" and self._asked_at is not None:
            return "the hand is being homed"
        unknown = self._homed is None and self._seen and self._wide()
        if self._may_home and (unknown or self._homed is False):
            return "the hand is homed first, if it was not"
        return ""

    def finished(self, goal: HandGoal, result: HandResult) -> None:
        """Note what became of a goal, and what it says of homing."""
        newest = goal is self._goal
        super().finished(goal, result)
        if not newest or goal.closing or result.outcome not in ("succeeded", "aborted"):
            return
        self._may_home = self._may_home and goal.kind != "home"
        if result.outcome == "succeeded":
            self._homed = True
        elif not self._homed:
            self._homed = False

    def trouble(self, now: float) -> str:
        """What is wrong with it, or nothing."""
        found = super().trouble(now)
        if self._homed is not False:
            return found
        advice = (
            "the hand is not homed: with nothing between its fingers, ros2 action send_goal "
            f"{self._gripper.action}/homing franka_msgs/action/Homing '{{}}', or start the arm "
            "gate with home_hand:=true"
        )
        return f"{found}; {advice}" if found else advice

    def _wide(self) -> bool:
        return self.width > _OPEN * self._gripper.max_width

    def _wanted(self, change: float, closedness: float) -> HandGoal | None:
        least = self._gripper.grip_change
        if self._held is not None:  # almost as wide as the hand it leaves no room for such a change
            least = min(least, _MOST * self.closedness)
        if abs(change) < least:
            return None
        closing, before = change > 0, self._state()
        if before == ("closed" if closing else "open"):
            return None
        busy = self._asked_at is not None or before != "open"
        if closing:
            return HandGoal(kind="grasp", width=0.0, closing=True, stop_first=busy)
        width = self._gripper.max_width
        return HandGoal(kind="open", width=width, stop_first=busy)

    def _state(self) -> Literal["open", "closed", "unknown"]:
        """What it was told last, unless the fingers show that it is not so."""
        wide = self._wide()
        if self._asked_at is None and (self._goal is None or self._goal.closing == wide):
            return "open" if wide else "unknown"
        assert self._goal is not None
        return "closed" if self._goal.closing else "open"


def _mm(width: float) -> str:
    return f"{1000 * width:.0f} mm"
