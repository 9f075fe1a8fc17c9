"""A world whose only latent token is the tool's position and closedness, and MPC on it."""

import torch

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.mpc import MPC, Status, SubGoal
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.solvers import make_solver
from vjepa_ros.planning.world_model import Context

START = [0.4, 0.0, 0.3, 0.0]


def latents(position):
    return torch.tensor(position)[None]  # [L = 1, D = 4]


def context(position):
    state = torch.zeros(1, 7)
    return Context(latents=latents(position)[None], states=state, actions=torch.zeros(0, 7))


class PointWorld:
    """Moves by what it is told, or by a fraction of it."""

    def __init__(self, obeys: float = 1.0) -> None:
        self.position = torch.tensor(START)
        self.obeys = obeys

    def cost(self, context, goal, objective):
        def energies(actions):
            moves = torch.cat((actions[..., POSITION], actions[..., GRIPPER:]), -1)
            frames = context.latents[-1] + moves.cumsum(1)  # [N, H, D]; L is 1
            weights = objective.step_weights(actions.shape[1])
            return sum(
                weight * objective.distance(frames[:, h, None], goal)
                for h, weight in enumerate(weights)
            )

        return energies

    def context(self):
        return context(self.position.tolist())

    def act(self, action):
        self.position += self.obeys * torch.cat((action[POSITION], action[GRIPPER:]))


def make_mpc(world, goals, **options):
    options = {"max_steps": 30, "solver": make_solver("cem", samples=100), **options}
    return MPC(world_model=world, objective=L1(), goals=goals, **options)


def run(world, mpc):
    decisions = []
    while not decisions or decisions[-1].status is Status.RUNNING:
        decisions.append(mpc.step(world.context()))
        if decisions[-1].action is not None:
            world.act(decisions[-1].action)
    return decisions


def goal(x, y, z, closedness=0.0, **options):
    return SubGoal(latents=latents([x, y, z, closedness]), **options)
