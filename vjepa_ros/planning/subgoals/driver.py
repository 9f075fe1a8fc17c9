"""The planner as a driver: the one place where sub-goals meet it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.mpc import MPC, CostModel
from vjepa_ros.planning.planners import PlannerConfig, make_mpc, restrain
from vjepa_ros.planning.subgoals.pursuit import Aim
from vjepa_ros.planning.world_model import Context


@dataclass(kw_only=True)
class PlannerDriver:
    """Plans to one imagined latent at a time; the straight way there is a candidate like others."""

    config: PlannerConfig
    world_model: CostModel
    seed: int

    def aim(self, aim: Aim, context: Context) -> None:
        self._aim = aim
        self._mpc: MPC = make_mpc(
            self.config, self.world_model, context, [aim.latents], seed=self.seed
        )
        self.seed += 1

    def step(self, context: Context) -> Tensor | None:
        state = context.states[-1]
        candidate = towards(self._aim, state, self.config.max_step)
        candidate[GRIPPER] = 0.0  # the fingers are not searched
        proposals = candidate.expand(1, self.config.horizon, 7)
        decision = self._mpc.step(context, proposals)
        if decision.action is None:
            return None
        return hold_fingers(restrain(decision.action, self.config), self._aim)


def towards(aim: Aim, state: Tensor, stride: float) -> Tensor:
    """The straight way [7] to an aim, no longer than a stride along an axis."""
    action = torch.zeros(7, dtype=state.dtype)
    way = aim.position.to(state) - state[POSITION]
    action[POSITION] = way * min(1.0, stride / max(float(way.abs().max()), 1e-9))
    if aim.fingers:
        action[GRIPPER] = aim.closedness - state[GRIPPER]
    return action


def hold_fingers(action: Tensor, aim: Aim) -> Tensor:
    """The action [7] with the fingers moving only where the key frame has them move, and only
    that way: what is carried is not let go, and fingers that shut on nothing do not open again.
    """
    if aim.last or float(action[GRIPPER]) * aim.fingers > 0:
        return action
    held = action.clone()
    held[GRIPPER] = 0.0
    return held
