"""Model predictive control: plan, take the first step, look again, over a list of sub-goals."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import torch
from torch import Tensor

from vjepa_ros.conventions import POSITION
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.solvers import Cost, PlanningError, Solution, Solver, shifted
from vjepa_ros.planning.world_model import Context


class CostModel(Protocol):
    """All that MPC asks of a world model."""

    def cost(self, context: Context, goal: Tensor, objective: Objective) -> Cost:
        """The energies of candidate actions, from a context towards a goal [L, D]."""


@dataclass(frozen=True, kw_only=True)
class SubGoal:
    """What the camera should see, and when to go on to the next: once the energy of the
    frame has come down to `energy`, after `steps` steps, after `patience` steps in a row that
    did not bring it down, or whichever comes first. Left at an energy more than `missed` above
    the lowest that a sub-goal before was left at, it is tried again, once, from the one before
    it: those after it build on it. (Under a light that is not the pictures', no energy is low.)
    """

    latents: Tensor  # [L, D]
    energy: float | None = None
    steps: int | None = None
    patience: int | None = None
    missed: float | None = None


class Status(Enum):
    RUNNING = "running"
    REACHED = "reached"
    STALLED = "stalled"
    OUT_OF_STEPS = "out of steps"
    OUT_OF_TIME = "out of time"
    PLANNING_FAILED = "planning failed"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do now. There is an action as long as the status is RUNNING."""

    status: Status
    reason: str  # for a person to read
    goal: int  # index of the sub-goal
    energy: float  # of the frame as it is now, against that sub-goal
    action: Tensor | None = None  # [7]
    solution: Solution | None = None


@dataclass(kw_only=True)
class MPC:
    """One task, from its first frame to its end.

    It has stalled when `stall_steps` steps in a row have not brought the energy at least
    `min_improvement` (a fraction) below the lowest so far. A plan whose confidence is less
    than `min_confidence` is not executed. Plans longer than one step start from the last
    plan, shifted, with its best elites as proposals.
    """

    world_model: CostModel
    solver: Solver
    objective: Objective
    goals: Sequence[SubGoal]
    max_steps: int
    time_budget: float = math.inf  # seconds from the first step on
    stall_steps: int | None = None
    min_improvement: float = 0.01
    min_confidence: float = 0.0
    carried_elites: int = 3  # iCEM's choice: 0.3 of its 10
    min_reach: float | None = None
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        _check_goals(self.goals)
        if self.max_steps < 1:
            raise ValueError(f"max_steps is {self.max_steps}, expected at least 1")
        if self.stall_steps is not None and self.stall_steps < 1:
            raise ValueError(f"stall_steps is {self.stall_steps}, expected at least 1")
        if self.carried_elites < 0:
            raise ValueError(f"carried_elites is {self.carried_elites}, expected 0 or more")
        if not self.time_budget > 0:
            raise ValueError(f"time_budget is {self.time_budget:g} s, expected more than 0")
        for name in ("min_improvement", "min_confidence"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name):g}, expected a number in [0, 1)")
        self._steps = 0
        self._started: float | None = None
        self._end: Status | None = None
        self._missed: frozenset[int] = frozenset()  # sub-goals
        self._lowest_left = math.inf  # energy at the end of a sub-goal
        self._aim_at(0)

    def _aim_at(self, goal: int) -> None:
        self._goal = goal
        self._goal_steps = 0
        self._lowest = math.inf  # energy seen on this sub-goal
        self._steps_above_lowest = 0
        self._lowest_place = torch.zeros(3)
        self._reach, self._stride = math.inf, math.inf  # metres: may go next, went last
        self._last: Solution | None = None  # a plan to another goal is no place to start from

    def step(self, context: Context, proposals: Tensor | None = None) -> Decision:
        """The next action from what was seen, or why there is none; proposals [P, H, 7] are
        candidates of your own, such as a policy's.
        """
        if self._end is not None:
            raise RuntimeError(f"this task has ended ({self._end.value}): make a new MPC")
        if self._started is None:
            self._started = self.clock()

        energy = self._look(context)
        while end := self._sub_goal_end(energy):
            following = self._goal_after(energy)
            if following is None:
                break
            self._aim_at(following)
            energy = self._look(context)
        if end := end or self._task_end():
            return self._stop(*end, energy)

        try:
            solution = self._plan(context, proposals)
        except PlanningError as error:
            return self._stop(Status.PLANNING_FAILED, str(error), energy)
        if solution.confidence < self.min_confidence:
            reason = (
                f"the plan's confidence, {solution.confidence:.2f}, is below min_confidence, "
                f"{self.min_confidence:.2f}"
            )
            return self._stop(Status.PLANNING_FAILED, reason, energy, solution)

        action = self._within_reach(solution.actions[0], context.states[-1, POSITION])
        self._last = solution
        self._stride = float(action[POSITION].norm())
        self._steps += 1
        self._goal_steps += 1
        self._steps_above_lowest += 1
        return Decision(
            status=Status.RUNNING,
            reason=f"sub-goal {self._goal + 1} of {len(self.goals)}, step {self._steps}",
            goal=self._goal,
            energy=energy,
            action=action,
            solution=solution,
        )

    def _look(self, context: Context) -> float:
        """The energy of the frame; notes whether the last step brought it down."""
        energy = self._current_energy(context)
        if energy < self._lowest * (1 - self.min_improvement):
            self._lowest, self._steps_above_lowest = energy, 0
            self._lowest_place = context.states[-1, POSITION]
            self._reach *= 2
        elif self.min_reach is not None:
            self._reach = max(self.min_reach, min(self._reach, self._stride) / 2)
        return energy

    def _within_reach(self, action: Tensor, place: Tensor) -> Tensor:
        """The action [7] from a place [3], ending where the search may go."""
        if self._reach == math.inf:
            return action
        away = place + action[POSITION] - self._lowest_place
        action = action.clone()
        action[POSITION] -= away * (1 - self._reach / away.norm().clamp(min=self._reach))
        return action

    def _current_energy(self, context: Context) -> float:
        """Of the frame as the encoder sees it: nothing is predicted here."""
        now = context.latents[-1:]
        if not now.isfinite().all():
            raise ValueError("context.latents holds NaN or infinite numbers in its last frame")
        with torch.no_grad():
            return float(self.objective.distance(now, self.goals[self._goal].latents))

    def _sub_goal_end(self, energy: float) -> tuple[Status, str] | None:
        goal, name = self.goals[self._goal], f"sub-goal {self._goal + 1} of {len(self.goals)}"
        if goal.energy is not None and energy <= goal.energy:
            return Status.REACHED, f"{name}: energy {energy:.4g} is within {goal.energy:.4g}"
        if goal.steps is not None and self._goal_steps >= goal.steps:
            return Status.OUT_OF_STEPS, f"{name}: its {goal.steps} steps ended at {energy:.4g}"
        if goal.patience is not None and self._steps_above_lowest >= goal.patience:
            return Status.STALLED, (
                f"{name}: {goal.patience} steps have not brought the energy, {energy:.4g}, "
                f"below {self._lowest:.4g}"
            )
        return None

    def _goal_after(self, energy: float) -> int | None:
        """Where to go from the end of this sub-goal; None: that was the last."""
        here, last = self._goal, len(self.goals) - 1
        if here == last:
            return None
        missed, lowest = self.goals[here].missed, self._lowest_left
        self._lowest_left = min(lowest, energy)
        if missed is not None and energy > lowest + missed and here not in self._missed:
            self._missed |= {here, here - 1}  # from there it goes forward, whatever is seen
            return here - 1
        return here + 1

    def _task_end(self) -> tuple[Status, str] | None:
        if self._steps >= self.max_steps:
            return Status.OUT_OF_STEPS, f"max_steps, {self.max_steps}, are used up"
        assert self._started is not None
        seconds = self.clock() - self._started
        if seconds >= self.time_budget:
            return Status.OUT_OF_TIME, f"{seconds:.3g} s of {self.time_budget:.3g} s are used up"
        if self.stall_steps is not None and self._steps_above_lowest >= self.stall_steps:
            return Status.STALLED, (
                f"{self.stall_steps} steps have not brought the energy "
                f"{self.min_improvement:.0%} below {self._lowest:.4g}"
            )
        return None

    def _plan(self, context: Context, proposals: Tensor | None) -> Solution:
        goal = self.goals[self._goal].latents
        warm_start = None
        if self._last is not None and self.solver.horizon > 1:
            warm_start = shifted(self._last.actions)
            carried = shifted(self._last.elites[: self.carried_elites])
            own = carried[:0] if proposals is None else proposals.to(carried)
            proposals = torch.cat((own, carried))
        cost = self.world_model.cost(context, goal, self.objective)
        return self.solver.solve(cost, warm_start=warm_start, proposals=proposals)

    def _stop(
        self, status: Status, reason: str, energy: float, solution: Solution | None = None
    ) -> Decision:
        self._end = status
        return Decision(
            status=status, reason=reason, goal=self._goal, energy=energy, solution=solution
        )


def _check_goals(goals: Sequence[SubGoal]) -> None:
    if not goals:
        raise ValueError("goals is empty, expected at least one sub-goal")
    for number, goal in enumerate(goals, 1):
        name, shape = f"sub-goal {number} of {len(goals)}", goal.latents.shape
        if len(shape) != 2 or not goal.latents.numel() or shape != goals[0].latents.shape:
            raise ValueError(
                f"{name} has latents of shape {list(shape)}, expected [L, D], the same for all"
            )
        if not goal.latents.is_floating_point() or not goal.latents.isfinite().all():
            raise ValueError(f"{name}: its latents hold NaN, infinite numbers or integers")
        if goal.energy is None and goal.steps is None and goal.patience is None:
            raise ValueError(
                f"{name} has neither energy nor steps nor patience: it would never be left"
            )
        if goal.energy is not None and not goal.energy >= 0:
            raise ValueError(f"{name}: energy is {goal.energy:g}, expected 0 or more")
        if goal.steps is not None and goal.steps < 1:
            raise ValueError(f"{name}: steps is {goal.steps}, expected at least 1")
        if goal.patience is not None and goal.patience < 1:
            raise ValueError(f"{name}: patience is {goal.patience}, expected at least 1")
