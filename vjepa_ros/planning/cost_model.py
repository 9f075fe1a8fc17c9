"""What a planner asks of a world model, and what that makes of a small move."""

from typing import Protocol

import torch
from torch import Tensor

from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.solvers import Cost
from vjepa_ros.planning.world_model import Context, Goal


class CostModel(Protocol):
    """All that a planner asks of a world model."""

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        """The energies of candidate actions, from a context towards a goal."""

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        """The latents [N, H, L, D] that candidate actions [N, H, 7] lead to."""


def energy_nearby(
    world_model: CostModel, objective: Objective, context: Context, metres: float
) -> float:
    """The mean energy, as the world model sees it, of standing that far from where it is."""
    moves = torch.zeros(6, 1, 7)
    for axis in range(3):
        moves[2 * axis : 2 * axis + 2, 0, axis] = torch.tensor((metres, -metres))
    here = Goal(latents=context.latents[-1], name=context.name)
    with torch.no_grad():
        return float(world_model.cost(context, here, objective)(moves).mean())
