"""The planner that goes to one picture by sub-goals, and to several as ever.

    planner = OnePicturePlanner(config, world_model, source=source, imagination=world_model)
    task = planner.start(context, [goal])
    task, decision = planner.plan(task, context)

It is used wherever a Planner is. Where the source proposes no key frames, as for a reach, the
picture itself is planned to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.planner import CostModel, Planner, check_finite
from vjepa_ros.planning.subgoals.driver import PlannerDriver, Servo
from vjepa_ros.planning.subgoals.explain import Explanation, NotUnderstood, explain
from vjepa_ros.planning.subgoals.pursuit import Pursuit, PursuitConfig
from vjepa_ros.planning.subgoals.source import Imagination, SubGoalSource
from vjepa_ros.planning.task import Decision, Task, TaskStatus
from vjepa_ros.planning.world_model import Context, Goal


@dataclass(frozen=True, kw_only=True, eq=False)
class WayTask(Task):
    """A task whose only picture is gone to by key frames."""

    way: Pursuit
    explanation: Explanation  # of the way as it was when it began


class OnePicturePlanner(Planner):
    """A Planner that proposes sub-goals where it is given one picture."""

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
        if len(goals) > 1:
            return task
        explanation = self.explain(context, goals[0])
        if explanation.refusal:
            raise NotUnderstood(explanation.refusal)
        if not explanation.views:
            return task
        return self._on_the_way(task, explanation, max_steps)

    def _on_the_way(
        self, task: Task, explanation: Explanation, max_steps: int | None = None
    ) -> WayTask:
        """The task, which goes by key frames from here."""
        config = PursuitConfig(stride=self.config.max_step)
        way = Pursuit(
            source=self.source,
            world_model=self.imagination,
            driver=self._driver(task.seed),
            goal=task.goal.latents,
            config=config if max_steps is None else replace(config, max_steps=max_steps),
        )
        own = {field.name: getattr(task, field.name) for field in fields(Task)}
        return WayTask(
            **own | {"max_steps": way.config.max_steps}, way=way, explanation=explanation
        )

    def plan(
        self, task: Task, context: Context, proposals: Tensor | None = None
    ) -> tuple[Task, Decision]:
        """Decide what to do at a frame: towards the next key frame."""
        if not isinstance(task, WayTask):
            after, decision = super().plan(task, context, proposals)
            again = self._way_after_all(after, context) if len(task.sub_goals) == 1 else None
            return (after, decision) if again is None else self.plan(again, context)
        if task.end is not None:
            raise RuntimeError(f"this task has ended ({task.end.value}): start a new one")
        check_finite(context)
        way = task.way.branched()
        with torch.no_grad():
            energy = float(self.objective.distance(context.latents[-1:], way.goal))
        step = way.step(context)
        if step.end is not None:
            decision = Decision(status=step.end, reason=step.reason, goal=0, energy=energy)
            return replace(task, way=way, end=step.end), decision
        driver = way.driver
        assert isinstance(driver, PlannerDriver | Servo)
        assert driver.decision is not None
        decision = replace(driver.decision, reason=step.reason, goal=0, energy=energy)
        return replace(task, way=way, steps=task.steps + 1), decision

    def _way_after_all(self, task: Task, context: Context) -> WayTask | None:
        """The key frames of what was taken for a reach, where that has ended with a hand that is
        not where the picture has it, or an object that is not.
        """
        given_up = task.end in (TaskStatus.STALLED, TaskStatus.OUT_OF_STEPS)
        if not self._unseen or not given_up or task.steps >= task.max_steps:
            return None
        if self.source.disagreement(context.latents[-1], task.goal.latents) < 1:
            return None
        explanation = self.explain(context, task.goal)
        if explanation.refusal or not explanation.views:
            return None
        return self._on_the_way(replace(task, end=None), explanation)

    def ahead(self, task: Task) -> Task:
        """Plan the next step towards the key frame ahead, where there is one to plan."""
        if not isinstance(task, WayTask):
            return super().ahead(task)
        way = task.way.branched()
        if isinstance(way.driver, PlannerDriver):
            way.driver.ahead()
        return replace(task, way=way)

    def explain(self, context: Context, goal: Goal) -> Explanation:
        """The way that would be gone to a picture; raises NotUnderstood where there is none."""
        return explain(self.source, self.imagination, context, goal.latents, self.config.max_step)

    def _driver(self, seed: int) -> PlannerDriver | Servo:
        if self._servo:
            return Servo(stride=self.config.max_step)
        return PlannerDriver(
            config=self.config,
            world_model=self.world_model,
            seed=seed,
            keep_samples=self._keep_samples,
            as_goal=self._as_goal,
        )
