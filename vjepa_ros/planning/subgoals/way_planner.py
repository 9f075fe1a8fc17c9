"""The planner that goes to a picture by key frames, wherever a source knows a way to it.

    planner = WayPlanner(config, world_model, source=source, imagination=world_model)
    task = planner.start(context, [goal])
    task, decision = planner.plan(task, context)

It is used wherever a Planner is. Of several pictures each is gone to like this, one after the
other. Where the source proposes no key frames, as for a reach, the picture itself is planned to,
and where the source sees the hand in it, straight there is a candidate: the only one once the
search gets no further while that is far.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from vjepa_ros.conventions import POSITION
from vjepa_ros.planning import overlap, steering
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.cost_model import CostModel
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.subgoals.driver import PlannerDriver, Servo, towards_place
from vjepa_ros.planning.subgoals.explain import Explanation, NotUnderstood, explain
from vjepa_ros.planning.subgoals.pursuit import Pursuit, PursuitConfig
from vjepa_ros.planning.subgoals.source import Imagination, Moving, SubGoalSource
from vjepa_ros.planning.task import Decision, Task, TaskStatus
from vjepa_ros.planning.task import Pursuit as Following
from vjepa_ros.planning.world_model import Context, Goal, check_finite

_STUCK = 2  # steps in a row that have brought nothing
_KEPT_SO_FAR = 0.1  # share of a step that a hand has made which something keeps back, in mid-step
_FAR = 0.05  # metres to where the hand is seen in a picture, more than it is seen wrong


@dataclass(frozen=True, kw_only=True, eq=False)
class WayTask(Task):
    """A task whose next picture is gone to by key frames."""

    way: Pursuit
    explanation: Explanation  # of the way as it was when it began


class WayPlanner(Planner):
    """A Planner that proposes key frames."""

    def __init__(
        self,
        config: PlannerConfig,
        world_model: CostModel,
        *,
        source: SubGoalSource,
        imagination: Imagination,
        servo: bool = False,
        unseen: bool = True,
        keep_samples: bool = False,
        as_goal: Callable[[Tensor], Goal] = lambda latents: Goal(latents=latents),
    ) -> None:
        """servo: straight to what is proposed, without asking the world model for actions.
        unseen: a way may begin in mid-task, where nobody can say yes to it.
        as_goal names latents where the world model knows goals by their names.
        """
        super().__init__(config, world_model, keep_samples=keep_samples)
        self.source, self.imagination = source, imagination
        self._servo, self._unseen, self._as_goal = servo, unseen, as_goal
        self._follower = Planner(replace(config, policy_mode="rank"), world_model)

    def start(
        self,
        context: Context,
        goals: Sequence[Goal],
        *,
        seed: int = 0,
        max_steps: int | None = None,
        energy: float | None = None,
    ) -> Task:
        """Begin a task; raises NotUnderstood."""
        task = super().start(context, goals, seed=seed, max_steps=max_steps, energy=energy)
        if max_steps is None:
            usual = PursuitConfig.max_steps * len(goals)
            task = replace(task, max_steps=max(task.max_steps, usual))
        return self._by_key_frames(task, context)

    def plan(
        self, task: Task, context: Context, proposals: Tensor | None = None
    ) -> tuple[Task, Decision]:
        """Decide what to do at a frame: towards the next key frame, where there is one."""
        if isinstance(task, WayTask):
            return self._plan_on_the_way(task, context, proposals)
        after, decision = self._plan_to_picture(task, context, proposals)
        again = self._way_after_all(task, after, context)
        return (after, decision) if again is None else self.plan(again, context, proposals)

    def _plan_on_the_way(
        self, task: WayTask, context: Context, proposals: Tensor | None
    ) -> tuple[Task, Decision]:
        if task.end is not None:
            raise RuntimeError(f"this task has ended ({task.end.value}): start a new one")
        check_finite(context)
        way, number = self._with_foresight(task.way), task.pursuit.number
        with torch.no_grad():
            energy = float(self.objective.distance(context.latents[-1:], way.goal))
        step = way.step(context)
        if step.end is not None and number < len(task.sub_goals) - 1:
            return self.plan(self._heading_for(task, number + 1, context), context, proposals)
        if step.end is not None:
            decision = Decision(status=step.end, reason=step.reason, goal=number, energy=energy)
            return replace(task, way=way, end=step.end), decision
        driver = way.driver
        assert isinstance(driver, PlannerDriver | Servo)
        assert driver.decision is not None
        reason = step.reason + (overlap.CORRECTED if driver.decision.ahead else "")
        decision = replace(driver.decision, reason=reason, goal=number, energy=energy)
        return replace(task, way=way, steps=task.steps + 1), decision

    def _plan_to_picture(
        self, task: Task, context: Context, proposals: Tensor | None
    ) -> tuple[Task, Decision]:
        """As any Planner does, with straight to where the hand is in the picture proposed, too."""
        hint = self._hint(task, context)
        if hint is None:
            return super().plan(task, context, proposals)
        if task.pursuit.steps_above >= _STUCK and float(hint[0, 0, POSITION].norm()) > _FAR:
            after, decision = self._follower.plan(task, context, hint)
            if decision.action is not None:
                reason = f"straight to where the hand is seen in the picture, step {after.steps}"
                decision = replace(decision, reason=reason)
            return after, decision
        proposed = hint if proposals is None else torch.cat((proposals.to(hint), hint))
        return super().plan(task, context, proposed)

    def _hint(self, task: Task, context: Context) -> Tensor | None:
        """Straight to where the hand is seen in the picture [1, H, 7], where a source sees it."""
        if task.end is not None or self.config.policy_mode in steering.DRIVES:
            return None
        seen, goal, state = context.latents[-1], task.goal.latents, context.states[-1]
        hand = next((one.hand for one in self.source.propose(seen, goal, state)), None)
        if hand is None:
            return None
        straight = towards_place(hand, state, self.config.max_step)
        return straight.expand(1, self.config.horizon, 7)

    def _way_after_all(self, task: Task, after: Task, context: Context) -> WayTask | None:
        """The way to the next of several pictures; or to one that was taken for that of a reach,
        where this has ended with a hand or an object that is not where the picture has it.
        """
        if not self._unseen or task.steps >= task.max_steps:
            return None
        number = after.pursuit.number
        if number != task.pursuit.number:
            again = self._heading_for(task, number, context)
        elif after.end in (TaskStatus.STALLED, TaskStatus.OUT_OF_STEPS) and (
            self.source.disagreement(context.latents[-1], task.goal.latents) >= 1
        ):
            again = self._by_key_frames(task, context, departed=True)
        else:
            return None
        return again if isinstance(again, WayTask) else None

    def _heading_for(self, task: Task, number: int, context: Context) -> Task:
        """The task as it goes on with another of its pictures."""
        origin = task.way.origin if isinstance(task, WayTask) else None
        task = Task(
            **_own(task) | {"pursuit": Following(number=number), "seen": None, "ahead": None}
        )
        return self._by_key_frames(task, context, origin=origin) if self._unseen else task

    def _by_key_frames(
        self,
        task: Task,
        context: Context,
        *,
        origin: Tensor | None = None,
        departed: bool = False,
    ) -> Task:
        """The task, by key frames from here on where its picture asks for some.

        A picture that is not understood is planned to as it is, if it is one of several; as the
        only one, and before anything was done, it raises NotUnderstood. In mid-task a way is gone
        that nobody would begin with. origin: where the hand was [7] when the scene was first seen,
        if not now. departed: what is seen is not what the picture shows, though the hand is there;
        some finger has to move.
        """
        moving = Moving(self.source)
        try:
            explanation = self._explain(moving if departed else self.source, context, task.goal)
        except NotUnderstood:
            if len(task.sub_goals) > 1 or task.steps:
                return task
            raise
        if explanation.refusal and len(task.sub_goals) == 1 and not task.steps:
            raise NotUnderstood(explanation.refusal)
        if not explanation.views:
            return task
        config = PursuitConfig(stride=self.config.max_step, max_steps=task.max_steps - task.steps)
        if self.config.overlap:  # the hand is looked at while it still goes
            config = replace(config, kept=_KEPT_SO_FAR)
        if task.pursuit.number < len(task.sub_goals) - 1:
            # How it ends the way to the next picture sees, too; leave steps for that.
            steps = min(config.max_steps, PursuitConfig.max_steps)
            config = replace(config, judges_end=False, max_steps=steps)
        way = Pursuit(
            source=moving,
            world_model=self.imagination,
            driver=self._driver(task.seed),
            goal=task.goal.latents,
            config=config,
            first=explanation.proposal,
            origin=origin,
        )
        return WayTask(**_own(task), way=way, explanation=replace(explanation, refusal=""))

    def ahead(self, task: Task) -> Task:
        """Plan the next step from where the last one is imagined to end, where there was one: to
        the key frame that is headed for then, which may be another.
        """
        if not isinstance(task, WayTask):
            return super().ahead(task)
        return replace(task, way=self._with_foresight(task.way))

    def _with_foresight(self, way: Pursuit) -> Pursuit:
        """A branch of the way that knows what it would do where its last step should end."""
        way = way.branched()
        driver = way.driver
        if isinstance(driver, PlannerDriver) and (imagined := driver.imagined()) is not None:
            foresight = way.branched()
            if foresight.step(imagined).action is not None:
                assert isinstance(foresight.driver, PlannerDriver)
                driver.foresee(imagined, foresight.driver)
        return way

    def explain(self, context: Context, goal: Goal) -> Explanation:
        """The way that would be gone to a picture; raises NotUnderstood where there is none."""
        return self._explain(self.source, context, goal)

    def _explain(self, source: SubGoalSource, context: Context, goal: Goal) -> Explanation:
        return explain(source, self.imagination, context, goal.latents, self.config.max_step)

    def _driver(self, seed: int) -> PlannerDriver | Servo:
        if self._servo:
            return Servo(stride=self.config.max_step)
        # What it proposes is no policy's, and where a key frame is it need not feel for.
        rules = tuple(rule for rule in self.config.rules if rule != "probe")
        return PlannerDriver(
            config=replace(self.config, policy_mode="propose", rules=rules),
            world_model=self.world_model,
            seed=seed,
            keep_samples=self._keep_samples,
            as_goal=self._as_goal,
        )


def _own(task: Task) -> dict[str, Any]:
    """What every task remembers, a WayTask's own left out."""
    return {field.name: getattr(task, field.name) for field in fields(Task)}
