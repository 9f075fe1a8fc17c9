"""What a source makes of a picture, before anything moves."""

from table_world import TableWorld, WhetherItIsLetGo, goal_picture
from torch import Tensor

from vjepa_ros.planning.subgoals.explain import explain
from vjepa_ros.planning.world_model import Context, Goal


def test_the_way_that_is_shown_is_imagined_once():
    class Counting(TableWorld):
        rollouts = 0

        def rollout(self, context: Context, actions: Tensor) -> Tensor:
            self.rollouts += 1
            return super().rollout(context, actions)

    world, goal = Counting(), Goal(latents=goal_picture())
    explain(WhetherItIsLetGo(), world, world.context(), goal.latents, 0.075)
    assert world.rollouts == 8 + 4 + 1  # both ways, the one that holds on to where the hand is
