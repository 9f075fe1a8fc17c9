"""One ReachGoal task: look, plan, act, until there is a reason to end."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from vjepa_msgs.action import ReachGoal

from vjepa_gate.errors import UserError
from vjepa_ros.conventions import POSITION, apply_action
from vjepa_ros.images import compressed_to_rgb, decode_picture
from vjepa_ros.nodes.arm_state import ArmState
from vjepa_ros.nodes.latents import Frame
from vjepa_ros.nodes.reports import Reports
from vjepa_ros.nodes.settings import PlannerNodeSettings
from vjepa_ros.nodes.world import Unavailable, World
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.overlap import MOST_LEAD
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.solvers import Cost
from vjepa_ros.planning.subgoals.way_planner import WayTask
from vjepa_ros.planning.summary import path_length
from vjepa_ros.planning.task import Decision, Task, TaskStatus
from vjepa_ros.planning.world_model import Context, Goal

Result = ReachGoal.Result
_OUTCOMES = {
    TaskStatus.REACHED: Result.REACHED,
    TaskStatus.OUT_OF_STEPS: Result.OUT_OF_STEPS,
    TaskStatus.STALLED: Result.STALLED,
    TaskStatus.PLANNING_FAILED: Result.FAILED,
}
_POLL = 0.2  # seconds between two looks at whether the task was interrupted
_GATE_WAIT, _CONFIRM = 2.0, 0.02  # seconds for the gate's word, and between two looks for it
_PRECISE = 0.002  # seconds between two looks for the end of an action
_USUAL_WAIT = 1.0  # seconds for the next latents, before feedback tells of waiting
_THERE = 0.015  # metres from where it was sent, at which an arm has arrived
_MOST_LATE = 5  # plans in a row before the task is given up
_CORRECTIONS = 5  # of plans ahead, the slowest of which tells when the arm is looked at
_HINT = "energy has stalled: sub-goals would help"


class Ended(Exception):
    """The task is over before its plan is: an outcome, and why."""

    def __init__(self, outcome: int, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a task may take, in seconds."""

    budget: float  # from the first look on
    max_image_age: float  # a plan from an older image is thrown away
    max_wait: float  # for images, states, encoder and predictor
    settle: float  # of standing still after an action, before the next image counts
    max_settle: float  # to wait for that; then the arm is looked at as it is
    duration: float  # of an action
    hint_steps: int  # without progress, before feedback says so

    @classmethod
    def of(cls, settings: PlannerNodeSettings, budget: float) -> Self:
        """What the settings say, with a goal's own budget in the place of theirs if it is not 0."""
        if not 0 <= budget < math.inf:
            raise ValueError(f"max_seconds is {budget:g}, expected a number of at least 0")
        return cls(
            budget=budget or settings.max_seconds,
            max_image_age=settings.max_image_age,
            max_wait=settings.max_wait,
            settle=settings.settle,
            max_settle=settings.max_settle,
            duration=settings.step_period,
            hint_steps=settings.hint_steps,
        )


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A decision, and what it was made from."""

    step: int  # of the task, from 1
    decision: Decision
    frame: Frame
    state: Tensor
    seconds: float


class InterruptibleWorld:
    """A cost model that stops a search between two populations."""

    def __init__(self, world: World, check: Callable[[], None]) -> None:
        self._world, self._check = world, check

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        """Score as the world does, unless the task was interrupted."""
        score = self._world.cost(context, goal, objective)

        def energies(actions: Tensor) -> Tensor:
            self._check()
            return score(actions)

        return energies

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        """Imagine as the world does, unless the task was interrupted."""
        self._check()
        return self._world.rollout(context, actions)


class Reach:
    """Runs in a thread of its own. `act` publishes a plan and returns when its action is due
    to start, and its sequence; `check` raises Ended when the task was canceled or preempted.
    An action that the arm gate did not take is no step, and is planned anew.
    """

    def __init__(
        self,
        *,
        world: World,
        arm: ArmState,
        pictures: Sequence[NDArray[np.uint8]],
        planner: Planner,
        start: Callable[[Frame, Context, list[Goal]], Task],
        show: Callable[[Task], None],
        propose: Callable[[Task, Tensor], Tensor | None],
        act: Callable[[Planned], tuple[float, int]],
        tell: Callable[[Any], None],
        check: Callable[[], None],
        now: Callable[[], float],
        timing: Timing,
        reports: Reports,
    ) -> None:
        self._world, self._arm, self._timing = world, arm, timing
        self._reports = reports
        self._act, self._tell, self._check, self._now = act, tell, check, now
        self._propose, self._show = propose, show
        self._pictures, self._planner, self._begin = pictures, planner, start
        self.late = False  # the last plan came too late to be carried out
        self._states: list[Tensor] = []
        self._feedback = ReachGoal.Feedback()
        self._waiting_since: float | None = None
        self._sent: tuple[int, float] | None = None  # sequence and time of the last action
        self._ends = 0.0  # when the action under way does
        # Seconds that corrections took, with waiting for an image: so long before an action's end
        # the arm is looked at; the longest, until it is known.
        self._longest_lead = MOST_LEAD * timing.duration
        self._corrections: deque[float] = deque((self._longest_lead,), _CORRECTIONS)
        self._settle = 0.0 if planner.config.overlap else timing.settle
        self._longest_wait = timing.max_settle if self._settle else 0.0
        self._target: Tensor | None = None  # the state that the last action leads to

    def run(self) -> Any:
        """Go on until there is a reason to end; the result."""
        started = time.monotonic()
        try:
            outcome, message = self._loop(*self._start())
        except Ended as end:
            outcome, message = end.outcome, str(end)
        feedback = self._feedback
        return Result(
            outcome=outcome,
            message=message,
            steps=feedback.step,
            subgoals_reached=feedback.subgoal + (outcome == Result.REACHED),
            final_energy=feedback.energy,
            seconds=time.monotonic() - started,
        )

    def _start(self) -> tuple[Task, float]:
        """The task, and the time of what was seen when it began."""
        while True:
            try:
                goals = [self._world.encode(picture) for picture in self._pictures]
                frame, state = self._look(self._now())
                return self._begin(frame, _context(frame, state), goals), frame.stamp
            except Unavailable as error:
                self._wait_for_help(str(error))
            except (UserError, ValueError) as error:
                raise Ended(Result.FAILED, f"goal: {error}") from error

    def _loop(self, task: Task, due: float) -> tuple[int, str]:
        """Go on with a task at the newest image from `due` on."""
        thrown_away, began = 0, time.monotonic()
        before, refused = task, 0
        while True:
            try:
                task = self._planner.ahead(task)
                frame, state = self._look(due)
                if self._sent and not self._was_made():
                    task, refused = before, refused + 1
                    self._complain_of_refusal(refused)
                elif self._sent:
                    refused = 0
                self._sent = None
                started = time.monotonic()
                proposals = self._propose(task, state)
                after, decision = self._planner.plan(task, _context(frame, state), proposals)
            except Unavailable as error:
                self._wait_for_help(str(error))
                continue
            self._waiting_since = None
            self._note(decision, after.pursuit.steps_above, state)
            if decision.status is not TaskStatus.RUNNING:
                return _OUTCOMES[decision.status], decision.reason + self._advice(after)
            spent, budget = started - began, self._timing.budget
            if spent >= budget:
                raise Ended(Result.OUT_OF_TIME, f"{spent:.3g} s of {budget:.3g} s are used up")

            self._check()
            seconds, age = time.monotonic() - started, self._now() - frame.stamp
            if age > self._timing.max_image_age:
                thrown_away += 1
                self._complain_of_age(age, seconds, thrown_away)
                # The task is what it was, and looks at the next image: this one grows no younger.
                due = math.nextafter(frame.stamp, math.inf)
                continue
            if type(after) is not type(task):  # it goes by key frames after all
                self._show(after)
            before, task, thrown_away = task, after, 0
            self._finish_action(decision, due)
            started_at, sequence = self._act(
                Planned(
                    step=self._feedback.step + 1,
                    decision=decision,
                    frame=frame,
                    state=state,
                    seconds=seconds,
                )
            )
            self._sent = sequence, time.monotonic()
            assert decision.action is not None
            self._target = apply_action(state, decision.action)
            self._feedback.step += 1
            self.late = False
            self._ends = started_at + self._timing.duration
            due = self._ends + self._until_look()

    def _advice(self, ended: Task) -> str:
        """What would help a task that has stalled on one picture, without sub-goals on the way."""
        without = len(self._pictures) == 1 and not isinstance(ended, WayTask)
        return f". {_HINT}" if without and ended.end is TaskStatus.STALLED else ""

    def _finish_action(self, decision: Decision, due: float) -> None:
        """Let the action under way end before the next one, which was planned ahead, begins."""
        if decision.ahead:
            self._corrections.append(self._now() - due)
        # The node's clock may be that of a simulation which waits for this action.
        end = time.monotonic() + self._ends - self._now()
        while self._now() < self._ends and time.monotonic() < end:
            self._check()
            time.sleep(_PRECISE)

    def _until_look(self) -> float:
        """Seconds from the end of an action until the arm is looked at: before it ends, if what
        comes next is planned ahead.
        """
        if not self._planner.config.overlap:
            return self._settle
        return -min(max(self._corrections), self._longest_lead)

    def _was_made(self) -> bool:
        """Whether the gate took the last action; waits until it says so."""
        assert self._sent is not None
        end = time.monotonic() + _GATE_WAIT
        while (made := self._reports.accepted(*self._sent)) is None:
            self._check()
            if hindrance := self._reports.hindrance():
                raise Unavailable(hindrance)
            if time.monotonic() > end:
                raise Unavailable("arm_gate: it does not say whether it took the last action")
            time.sleep(_CONFIRM)
        return made

    def _complain_of_refusal(self, times: int) -> None:
        """The step was not made: it does not count, and is planned anew."""
        self._feedback.step -= 1
        if times >= _MOST_LATE:
            raise Ended(Result.FAILED, f"the arm gate took none of {times} actions in a row")

    def _look(self, due: float) -> tuple[Frame, Tensor]:
        """The newest frame from `due` on that shows an arm that has arrived, and its state then."""
        end = time.monotonic() + max(0.0, due - self._now()) + _USUAL_WAIT + self._longest_wait
        while True:
            self._check()
            if hindrance := self._reports.hindrance():
                raise Unavailable(hindrance)
            frame = self._world.frames.wait_newest(lambda frame: frame.stamp >= due, _POLL)
            state = None if frame is None else self._arm.at(frame.stamp)
            if (
                frame is not None
                and state is not None
                and self._has_arrived(state, frame.stamp, due)
            ):
                return frame, state
            if time.monotonic() > end:
                raise Unavailable(self._nothing_seen(frame, state))
            time.sleep(0.02)

    def _has_arrived(self, state: Tensor, stamp: float, due: float) -> bool:
        """Whether the arm stands still where it was sent, or has been waited for long enough: a
        slow one that is looked at on its way seems not to get on.
        """
        if self._target is not None and (state - self._target)[POSITION].norm() > _THERE:
            arrived = False
        else:
            arrived = self._arm.rests(stamp, self._settle)
        return arrived or stamp >= due + self._longest_wait

    def _nothing_seen(self, frame: Frame | None, state: Tensor | None) -> str:
        if frame is not None and state is None:
            return f"{self._arm.complaint()} at the time of the image"
        why = self._reports.trouble("encoder") or "are camera and encoder working?"
        return f"no new latents: {why}"

    def _note(self, decision: Decision, idle_steps: int, state: Tensor) -> None:
        """Feedback of where the arm is now."""
        self._states.append(state)
        feedback = self._feedback
        feedback.subgoal, feedback.energy = decision.goal, decision.energy
        feedback.distance_moved = path_length(torch.stack(self._states))
        feedback.message = _HINT if idle_steps > self._timing.hint_steps else decision.reason
        self._tell(feedback)

    def _wait_for_help(self, why: str) -> None:
        """Something is missing that may be back soon; a node perhaps with its memory lost."""
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since > self._timing.max_wait:
            raise Ended(Result.FAILED, f"{why} (gave up after {self._timing.max_wait:g} s)")
        self._feedback.message = f"waiting: {why}"
        self._tell(self._feedback)
        self._check()
        time.sleep(_POLL)

    def _complain_of_age(self, age: float, seconds: float, times: int) -> None:
        self.late = True
        limit = self._timing.max_image_age
        message = (
            f"plan thrown away: its image is {age:.1f} s old, limit {limit:g} s (max_image_age), "
            f"and planning took {seconds:.1f} s"
        )
        if times >= _MOST_LATE:
            advice = (
                "plan with fewer samples, iterations or a shorter horizon, or raise max_image_age"
                if seconds > age / 2
                else "the camera is late"
            )
            raise Ended(Result.FAILED, f"{message}, {times} times in a row: {advice}")
        self._feedback.message = message
        self._tell(self._feedback)


def _context(frame: Frame, state: Tensor) -> Context:
    return Context(latents=frame.latents[None], states=state[None], name=frame.name)


def goal_pictures(request: ReachGoal.Goal) -> list[NDArray[np.uint8]]:
    """Read the pictures that a request holds or names; raises ValueError and OSError."""
    if bool(request.files) == bool(request.images):
        raise ValueError("expected files or images, one of the two")
    if request.images:
        return [compressed_to_rgb(image) for image in request.images]
    pictures = []
    for file in request.files:
        try:
            pictures.append(decode_picture(Path(file).read_bytes()))
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
    return pictures
