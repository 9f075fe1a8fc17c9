"""The planner as a driver: the one place where sub-goals meet it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.planner import CostModel, Planner, Task
from vjepa_ros.planning.solvers import Cost
from vjepa_ros.planning.subgoals.pursuit import Aim
from vjepa_ros.planning.world_model import Context, Goal


@dataclass(kw_only=True)
class PlannerDriver:
    """Plans to one imagined latent at a time; the straight way there is a candidate like others."""

    config: PlannerConfig
    world_model: CostModel
    seed: int

    def aim(self, aim: Aim, context: Context) -> None:
        """Start a task whose only goal it is."""
        self._aim = aim
        self._planner = Planner(self.config, _HeldFingers(self.world_model, aim))
        self._task: Task = self._planner.start(context, [Goal(latents=aim.latents)], seed=self.seed)

    def step(self, context: Context) -> Tensor | None:
        """What is decided: an action [7], or None where that task has ended."""
        state = context.states[-1]
        candidate = towards(self._aim, state, self.config.max_step)
        candidate[GRIPPER] = 0.0  # the fingers are not searched
        proposals = candidate.expand(1, self.config.horizon, 7)
        self._task, decision = self._planner.plan(self._task, context, proposals)
        self.seed = self._task.seed  # the next task goes on from there
        return None if decision.action is None else hold_fingers(decision.action, self._aim)


@dataclass(frozen=True)
class _HeldFingers:
    """A world model that scores candidates as they will be carried out: with the fingers held."""

    world_model: CostModel
    aim: Aim

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        cost = self.world_model.cost(context, goal, objective)
        return lambda actions: cost(hold_fingers(actions, self.aim))


def towards(aim: Aim, state: Tensor, stride: float) -> Tensor:
    """The straight way [7] to an aim, no longer than a stride along an axis."""
    action = torch.zeros(7, dtype=state.dtype)
    way = aim.position.to(state) - state[POSITION]
    action[POSITION] = way * min(1.0, stride / max(float(way.abs().max()), 1e-9))
    if aim.fingers:
        action[GRIPPER] = aim.closedness - state[GRIPPER]
    return action


def hold_fingers(action: Tensor, aim: Aim) -> Tensor:
    """Actions [..., 7] with the fingers moving only where the key frame has them move, and only
    that way: what is carried is not let go, and fingers that shut on nothing do not open again.
    """
    if aim.last:
        return action
    held = action.clone()
    held[..., GRIPPER] *= action[..., GRIPPER] * aim.fingers > 0
    return held
