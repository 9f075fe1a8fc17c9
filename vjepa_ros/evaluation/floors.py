"""What a planner is measured against: staying, moving at random, and the scripted expert."""

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.cost_model import CostModel
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.solvers.base import unsought
from vjepa_ros.planning.task import Decision, Task, TaskStatus, after, ended
from vjepa_ros.planning.world_model import Context

STEPS = 30  # that a floor takes: the expert does with fewer


class Floor(Planner):
    """Looks at nothing: it stays, or moves at random."""

    def __init__(self, config: PlannerConfig, world_model: CostModel, *, moves: bool) -> None:
        super().__init__(config, world_model)
        self._moves = moves

    def plan(
        self, task: Task, context: Context, proposals: Tensor | None = None
    ) -> tuple[Task, Decision]:
        """The next action, whatever is seen."""
        with torch.no_grad():
            energy = float(self.objective.distance(context.latents[-1:], task.goal.latents))
        if task.steps >= STEPS:
            return ended(task, energy, TaskStatus.OUT_OF_STEPS, "its steps are used up")
        action = torch.zeros(7)
        if self._moves:
            generator = torch.Generator().manual_seed(task.seed)
            action[POSITION] = self._drawn(3, generator) * self.config.max_step
            action[GRIPPER] = self._drawn(1, generator).item() * self.config.max_grip
        found = unsought(action)
        return after(task, found), Decision(
            status=TaskStatus.RUNNING, reason="a floor", goal=0, energy=energy, solution=found
        )

    @staticmethod
    def _drawn(count: int, generator: torch.Generator) -> Tensor:
        return 2 * torch.rand(count, generator=generator) - 1
