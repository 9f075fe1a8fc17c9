"""The planner: from what is seen to what is done. All that decides an action is in this file.

A task goes over one or more goal pictures. It is a frozen value: `Planner.plan` gives the next
one beside its decision, and to throw a plan away is not to use the task that came with it. What
is decided is what is carried out, published, scored and remembered.

    planner = Planner(PLANNERS["paper"], world_model)
    task = planner.start(context, goals, seed=7)
    task, decision = planner.plan(task, context)    # carry out decision.action, look, again
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning import overlap, probing, rules, steering
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.cost_model import CostModel, energy_nearby
from vjepa_ros.planning.objectives import make_objective
from vjepa_ros.planning.solvers import (
    Cost,
    PlanningError,
    Solution,
    Solver,
    make_solver,
    remembering,
    shifted,
)
from vjepa_ros.planning.task import (
    Ahead,
    Decision,
    Pursuit,
    SubGoal,
    Task,
    TaskStatus,
    ended,
    sent,
    sub_goal_end,
)
from vjepa_ros.planning.world_model import Context, Goal, check_finite, check_goals

_CARRIED_ELITES = 3  # that a warm start takes along: iCEM's choice, 0.3 of its 10


_Search = tuple[Solver, Tensor | None, Tensor | None, float]  # with its beginnings, and the energy
# that its plan may have


class Planner:
    """Decides by its settings alone: it remembers nothing between two calls."""

    def __init__(
        self, config: PlannerConfig, world_model: CostModel, *, keep_samples: bool = False
    ) -> None:
        self.world_model, self._keep_samples = world_model, keep_samples
        self.objective = make_objective(config.objective)
        self._configure(config)

    def _configure(self, config: PlannerConfig) -> None:
        self.config = config
        self._solver = make_solver(config, keep_samples=self._keep_samples)
        self._correction = (
            make_solver(overlap.correcting(config), keep_samples=self._keep_samples)
            if config.overlap
            else None
        )

    # --- a task begins ---------------------------------------------------------------------

    def start(
        self,
        context: Context,
        goals: Sequence[Goal],
        *,
        seed: int = 0,
        max_steps: int | None = None,
        energy: float | None = None,
    ) -> Task:
        """Begin a task at its first frame.

        energy is that at which each goal counts as reached, instead of the settings' own. With
        max_steps the last goal has all the steps that are left.
        """
        check_goals(goals)
        if energy is not None and not 0 <= energy < math.inf:
            raise ValueError(f"energy_threshold is {energy:g}, expected a number of at least 0")
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"max_steps is {max_steps}, expected at least 1")
        config, near = self.config, 0.0
        energies: list[float | None] = [energy] * len(goals)
        if config.tolerance is not None:
            near = energy_nearby(self.world_model, self.objective, context, config.tolerance)
            if energy is None:
                energies = [near, *(min(near, config.share * way) for way in self._ways(goals))]
        steps = config.steps_of(len(goals))
        sub_goals = [
            SubGoal(goal=goal, energy=reached, steps=most, patience=config.patience)
            for goal, reached, most in zip(goals, energies, steps, strict=True)
        ]
        sub_goals[-1] = probing.with_time(sub_goals[-1], config)
        if max_steps is not None:
            sub_goals[-1] = replace(sub_goals[-1], steps=None, patience=None)
        twice = "second_try" in config.rules or config.policy_mode in steering.LEADS
        return Task(
            sub_goals=tuple(sub_goals),
            max_steps=max_steps or (1 + twice) * sum(steps),
            seed=seed,
            near=near,
        )

    def _ways(self, goals: Sequence[Goal]) -> list[float]:
        """The energies from each goal to the next."""
        return [
            float(self.objective.distance(after.latents[None], before.latents))
            for before, after in pairwise(goals)
        ]

    # --- a step ----------------------------------------------------------------------------

    def plan(
        self, task: Task, context: Context, proposals: Tensor | None = None
    ) -> tuple[Task, Decision]:
        """Decide what to do at a frame, the last one of the context.

        proposals [P, T, 7] are candidates of your own, such as a policy's, of any length; what
        becomes of them `policy_mode` says. None: the planner is alone.
        """
        if task.end is not None:
            raise RuntimeError(f"this task has ended ({task.end.value}): start a new one")

        task = self.ahead(task)  # unless there was time for it before
        ahead, task = task.ahead, replace(task, seen=None, ahead=None)

        # Look: what the last step has brought, and which goal is the next.
        task, energy, end = self._look(task, context)
        if end is not None:
            return ended(task, energy, *end)
        return self._looking_ahead(task)._decide(task, context, energy, ahead, proposals)

    def _looking_ahead(self, task: Task) -> Self:
        """The same planner, whose plans go no further than its goal has steps left."""
        if task.steps_left >= self.config.horizon:
            return self
        other = copy.copy(self)
        other._configure(replace(self.config, horizon=task.steps_left))
        return other

    def _decide(
        self,
        task: Task,
        context: Context,
        energy: float,
        ahead: Ahead | None,
        proposals: Tensor | None,
    ) -> tuple[Task, Decision]:
        """What to do about the goal that is headed for, at a frame of that energy."""
        # Prepare: what candidates cost, and what the fingers shall do.
        score = cost = remembering(self.world_model.cost(context, task.goal, self.objective))
        if task.pursuit.alone:
            proposals = None
        if proposals is not None:
            proposals = steering.allowed(self.config, proposals)
            task = replace(task, pursuit=replace(task.pursuit, led=True))
            if self.config.policy_mode in steering.DRIVES:
                return self._driven(task, energy, score, proposals)
        task, fingers = self._choose_fingers(task, context, score)
        if fingers is not None:
            cost = rules.with_fingers(cost, fingers.change)
        if fingers is None or fingers.change == 0:
            probe = probing.probe(task, context, score, self.config)
            if probe is not None:
                return sent(task, energy, probe, ", probing")
        if "effort" in self.config.rules:
            cost = rules.with_effort(cost, self._effort(task), self._effortless(context))

        # Optimise, and constrain: what is decided is what is carried out, and scored as such.
        # Where nothing can be scored, the task ends and the arm stays.
        searches = self._searches(task, context, energy, ahead, proposals)
        for solver, warm_start, candidates, most in searches:
            try:
                found = solver.solve(
                    cost, seed=task.seed, warm_start=warm_start, proposals=candidates
                )
            except PlanningError as error:
                return ended(task, energy, TaskStatus.PLANNING_FAILED, str(error))
            if self.config.rules:
                found = self._mended(found, task, context, fingers, score)
            if found.energy <= most:
                break
        if proposals is not None and self.config.policy_mode == "blend":
            found = steering.blended(self.config.policy_alpha, score, found, proposals)
        word = steering.ALONE if task.pursuit.alone else ""
        corrected = solver is self._correction
        word += overlap.CORRECTED if corrected else ""
        task, decision = sent(task, energy, found, word, ahead=corrected)
        return replace(task, seen=context if self.config.overlap else None), decision

    def ahead(self, task: Task) -> Task:
        """With `overlap`: plan the step that follows the last one, from where the world model
        imagines that to end. For the time in which the arm makes it; `plan` decides the same
        without, and takes longer.
        """
        if task.seen is None or task.ahead is not None or task.end is not None:
            return task
        imagined = overlap.imagined(self.world_model.rollout, task)
        _, decision = self.plan(replace(task, seen=None), imagined)
        return replace(task, ahead=Ahead(context=imagined, decision=decision))

    def _searches(
        self,
        task: Task,
        context: Context,
        energy: float,
        ahead: Ahead | None,
        proposals: Tensor | None,
    ) -> Iterator[_Search]:
        """How to search, one way after the other until a plan is good enough; energy is the
        frame's.
        """
        planned = None if ahead is None else ahead.decision.solution
        if planned and len(planned.actions) != self.config.horizon:  # other steps were left
            planned = None
        if ahead and planned and ahead.decision.goal == task.pursuit.number:
            assert self._correction is not None
            plan, *others = overlap.from_here(ahead, planned, context, self._correction)
            candidates = torch.stack(others)
            if proposals is not None:
                candidates = torch.cat((proposals.to(candidates), candidates))
            nearer = task.pursuit.steps_above == 0  # than any frame before
            most = overlap.most_energy(ahead, planned, energy, self.config, nearer=nearer)
            yield self._correction, plan, candidates[: self._correction.samples // 2], most
        solver = self._within_reach(task.pursuit, context)
        begin, proposed = (
            actions if actions is None else solver.limits.project(actions)
            for actions in self._beginnings(task.pursuit, proposals)
        )
        yield solver, begin, proposed, math.inf

    def _within_reach(self, pursuit: Pursuit, context: Context) -> Solver:
        """The search, no wider than the next step may go: few samples find more in a small box."""
        if "reach" not in self.config.rules or self.config.axis:
            return self._solver
        away = float((context.states[-1, POSITION] - pursuit.best_place).norm())
        if pursuit.reach + away >= self.config.max_step:
            return self._solver
        config = replace(self.config, max_step=pursuit.reach + away)
        return make_solver(config, keep_samples=self._keep_samples)

    def _driven(
        self, task: Task, energy: float, score: Cost, proposals: Tensor
    ) -> tuple[Task, Decision]:
        """The policy drives: no search, and no hand rules."""
        try:
            found, word = steering.steered(self.config, score, proposals, task.seed)
        except PlanningError as error:
            return ended(task, energy, TaskStatus.PLANNING_FAILED, str(error))
        return sent(task, energy, found, f", {word}")

    def _beginnings(
        self, pursuit: Pursuit, proposals: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Where the search begins, and all that is proposed to it."""
        last = pursuit.last
        if last is None or "warm_start" not in self.config.rules or self.config.horizon == 1:
            return None, proposals
        carried = shifted(last.elites[:_CARRIED_ELITES])[:, : self.config.horizon]
        own = carried[:0] if proposals is None else proposals.to(carried)
        return shifted(last.actions)[: self.config.horizon], torch.cat((own, carried))

    def _effortless(self, context: Context) -> Tensor:
        """The moves [T, 3] of the hand that no energy has to pay for: none."""
        return torch.zeros(self.config.horizon, 3)

    def _effort(self, task: Task) -> float:
        """The energy that a metre along an axis must gain."""
        assert self.config.tolerance is not None
        return self.config.effort_gain * task.near / self.config.tolerance

    def _choose_fingers(
        self, task: Task, context: Context, score: Cost
    ) -> tuple[Task, rules.Fingers | None]:
        """Towards one goal the fingers move one way only; which, its picture tells."""
        if "fingers_first" not in self.config.rules:
            return task, None
        closedness, config = float(context.states[-1, GRIPPER]), self.config
        if task.goal is not task.fingers_goal:
            changes = self._changes_towards(task, context)
            task = replace(task, fingers_goal=task.goal, changes=changes, closedness=closedness)
        way = rules.moved_way(closedness - task.closedness)
        return task, rules.choose_fingers(
            score,
            rules.one_way(task.changes, way),
            gain=config.gripper_gain,
            floor=config.gripper_floor * task.near,
        )

    def _changes_towards(self, task: Task, context: Context) -> tuple[float, ...]:
        """What the fingers may do towards a goal that is planned to for the first time."""
        before, last = task.fingers_goal, task.sub_goals[-1].goal
        if before is None or task.goal is last:
            return rules.CHANGES
        start = Context(latents=before.latents[None], states=context.states[-1:], name=before.name)
        cost = self.world_model.cost(start, task.goal, self.objective)
        return rules.picture_changes(cost, self.config.picture_gain)

    def _mended(
        self,
        found: Solution,
        task: Task,
        context: Context,
        fingers: rules.Fingers | None,
        score: Cost,
    ) -> Solution:
        """The plan as the hand rules leave it, with the energy that the model gives it."""
        plan, pursuit = found.actions, task.pursuit
        if fingers is not None:
            plan = plan.clone()
            plan[0, GRIPPER] = fingers.change
        now = rules.Situation(
            config=self.config,
            energy=found.energy,
            fingers=fingers,
            place=context.states[-1, POSITION],
            best_place=pursuit.best_place,
            reach=pursuit.reach,
        )
        plan = rules.mended(plan, now)
        with torch.no_grad():
            return replace(found, actions=plan, energy=float(score(plan[None])[0]))

    # --- looking ---------------------------------------------------------------------------

    def _look(
        self, task: Task, context: Context
    ) -> tuple[Task, float, tuple[TaskStatus, str] | None]:
        """The task as the frame shows it, the frame's energy, and why the task ends, if it does.

        The energy is of the frame as the encoder sees it: nothing is predicted here.
        """
        check_finite(context)
        task, energy = self._seen(task, context)
        while end := sub_goal_end(task, energy):
            following = self._alone_after(task, end[0]) or self._goal_after(task, energy)
            if following is None:
                return task, energy, end
            task, energy = self._seen(following, context)
        if task.steps >= task.max_steps:
            spent = f"max_steps, {task.max_steps}, are used up"
            return task, energy, (TaskStatus.OUT_OF_STEPS, spent)
        return task, energy, None

    def _seen(self, task: Task, context: Context) -> tuple[Task, float]:
        """Note whether the last step brought the energy down."""
        pursuit, config = task.pursuit, self.config
        with torch.no_grad():
            energy = float(self.objective.distance(context.latents[-1:], task.goal.latents))
        if energy < pursuit.lowest * (1 - config.min_improvement):
            pursuit = replace(
                pursuit,
                lowest=energy,
                steps_above=0,
                best_place=context.states[-1, POSITION],
                reach=2 * pursuit.reach,
            )
        else:
            halved = min(pursuit.reach, pursuit.stride) / 2
            pursuit = replace(pursuit, reach=max(config.min_reach, halved))
        return replace(task, pursuit=pursuit), energy

    def _alone_after(self, task: Task, end: TaskStatus) -> Task | None:
        """The task heading for the same sub-goal, without the policy that did not reach it."""
        pursuit = task.pursuit
        leads = pursuit.led and self.config.policy_mode in steering.LEADS
        if end is TaskStatus.REACHED or not leads:
            return None
        return replace(task, pursuit=Pursuit(number=pursuit.number, alone=True))

    def _goal_after(self, task: Task, energy: float) -> Task | None:
        """The task heading for the next sub-goal; None: that was the last.

        One that was left far above the lowest energy that any was left at is tried again, once,
        from the one before it: those after it build on it. (Under a light that is not the
        pictures', no energy is low.)
        """
        here, lowest = task.pursuit.number, task.lowest_left
        if here == len(task.sub_goals) - 1:
            return None
        task = replace(task, lowest_left=min(lowest, energy))
        missed = energy > lowest + self.config.missed * task.near
        if "second_try" in self.config.rules and missed and here not in task.tried_again:
            again = task.tried_again | {here, here - 1}  # then forward, whatever is seen
            return replace(task, tried_again=again, pursuit=Pursuit(number=here - 1))
        return replace(task, pursuit=Pursuit(number=here + 1))
