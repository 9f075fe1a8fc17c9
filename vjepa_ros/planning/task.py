"""A task on its way: what is remembered from step to step, and what was decided.

All are frozen values; the planner gives the next ones.
"""

import math
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Self

import torch
from torch import Tensor

from vjepa_ros.conventions import POSITION
from vjepa_ros.planning import rules
from vjepa_ros.planning.solvers import Solution
from vjepa_ros.planning.world_model import Context, Goal


class TaskStatus(Enum):
    """How a task stands; all but RUNNING end it."""

    RUNNING = "running"
    REACHED = "reached"
    STALLED = "stalled"
    OUT_OF_STEPS = "out of steps"
    PLANNING_FAILED = "planning failed"


@dataclass(frozen=True, kw_only=True)
class SubGoal:
    """A goal and its ends: once the energy of the frame has come down to `energy`, after
    `steps` steps, after `patience` steps in a row that did not bring it down, or whichever
    comes first. None: no such end.
    """

    goal: Goal
    energy: float | None = None
    steps: int | None = None
    patience: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Pursuit:
    """What is remembered of heading for one sub-goal; what was sent, not what was thought."""

    number: int = 0  # of the sub-goal
    steps: int = 0
    lowest: float = math.inf  # energy seen
    steps_above: int = 0  # in a row that did not bring it down
    best_place: Tensor = field(default_factory=lambda: torch.zeros(3))  # where it was lowest
    reach: float = math.inf  # metres around it that the next step may end in
    stride: float = math.inf  # metres that the last step went
    last: Solution | None = None
    led: bool = False  # by a policy, in one of its steps at least
    alone: bool = False  # once more, without the policy that has not reached it


@dataclass(frozen=True, kw_only=True, eq=False)
class Ahead:
    """The step after the one that the arm makes: where that is imagined to end, what to do then."""

    context: Context
    decision: "Decision"


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One task, from its first frame to its end."""

    sub_goals: tuple[SubGoal, ...]
    max_steps: int
    seed: int  # of the next search; the one after it has the next number
    near: float  # energy of a move by `tolerance`, as the world model thinks; 0 without one
    steps: int = 0
    pursuit: Pursuit = field(default_factory=Pursuit)
    end: TaskStatus | None = None
    tried_again: frozenset[int] = frozenset()  # sub-goals
    lowest_left: float = math.inf  # energy at the end of a sub-goal
    # What the fingers may do towards the goal that was planned to last.
    fingers_goal: Goal | None = None
    changes: tuple[float, ...] = rules.CHANGES
    closedness: float = 0.0  # when that goal was first planned to
    # With overlap: the frame that the last step was planned from, and what follows that step.
    seen: Context | None = None
    ahead: Ahead | None = None

    @property
    def goal(self) -> Goal:
        """The one that it heads for."""
        return self.sub_goals[self.pursuit.number].goal

    @property
    def steps_left(self) -> int:
        """Until the goal that it heads for is left, at the latest."""
        overall, most = self.max_steps - self.steps, self.sub_goals[self.pursuit.number].steps
        return overall if most is None else min(overall, most - self.pursuit.steps)

    def endless(self) -> Self:
        """The same task, which plans at any frame, whether or not that shows the goal."""
        goals = tuple(SubGoal(goal=one.goal) for one in self.sub_goals)
        return replace(self, sub_goals=goals, max_steps=2**63)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do now. There is a solution as long as the status is RUNNING, and its first
    action is the one to carry out; its energy is that of those very actions.
    """

    status: TaskStatus
    reason: str  # for a person to read
    goal: int  # index of the sub-goal
    energy: float  # of the frame as it is now, against that sub-goal
    solution: Solution | None = None
    ahead: bool = False  # planned while the arm made the action before, and corrected

    @property
    def action(self) -> Tensor | None:
        """What is carried out [7]."""
        return None if self.solution is None else self.solution.actions[0]


def after(task: Task, sent: Solution) -> Task:
    """The task once this was sent."""
    pursuit = task.pursuit
    pursuit = replace(
        pursuit,
        steps=pursuit.steps + 1,
        steps_above=pursuit.steps_above + 1,
        stride=float(sent.actions[0, POSITION].norm()),
        last=sent,
    )
    return replace(task, pursuit=pursuit, steps=task.steps + 1, seed=task.seed + 1)


def sent(
    task: Task, energy: float, found: Solution, word: str = "", *, ahead: bool = False
) -> tuple[Task, Decision]:
    """Remember what is sent."""
    task = after(task, found)
    number, count = task.pursuit.number, len(task.sub_goals)
    return task, Decision(
        status=TaskStatus.RUNNING,
        reason=f"sub-goal {number + 1} of {count}, step {task.steps}{word}",
        goal=number,
        energy=energy,
        solution=found,
        ahead=ahead,
    )


def ended(task: Task, energy: float, status: TaskStatus, reason: str) -> tuple[Task, Decision]:
    """The task at its end, and the decision that says so."""
    decision = Decision(status=status, reason=reason, goal=task.pursuit.number, energy=energy)
    return replace(task, end=status), decision


def sub_goal_end(task: Task, energy: float) -> tuple[TaskStatus, str] | None:
    """Why heading for a sub-goal ends at a frame of this energy; None: it goes on."""
    pursuit = task.pursuit
    goal, name = task.sub_goals[pursuit.number], f"sub-goal {pursuit.number + 1}"
    name = f"{name} of {len(task.sub_goals)}"
    if goal.energy is not None and energy <= goal.energy:
        return TaskStatus.REACHED, f"{name}: energy {energy:.4g} is within {goal.energy:.4g}"
    if goal.steps is not None and pursuit.steps >= goal.steps:
        return TaskStatus.OUT_OF_STEPS, f"{name}: its {goal.steps} steps ended at {energy:.4g}"
    if goal.patience is not None and pursuit.steps_above >= goal.patience:
        return TaskStatus.STALLED, (
            f"{name}: {goal.patience} steps have not brought the energy, {energy:.4g}, "
            f"below {pursuit.lowest:.4g}"
        )
    return None
