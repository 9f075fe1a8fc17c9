"""A world whose only latent token is the tool's position and closedness, and tasks in it."""

from dataclasses import replace

import torch

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.task import SubGoal, Task, TaskStatus
from vjepa_ros.planning.world_model import Context, Goal

START = [0.4, 0.0, 0.3, 0.0]


def latents(position):
    return torch.tensor(position)[None]  # [L = 1, D = 4]


def context(position):
    state = torch.zeros(1, 7)
    state[0, POSITION] = torch.tensor(position[:3])
    state[0, GRIPPER] = position[3]
    return Context(latents=latents(position)[None], states=state, name="now")


class PointWorld:
    """Moves by what it is told, or by a fraction of it."""

    def __init__(self, obeys: float = 1.0) -> None:
        self.position = torch.tensor(START)
        self.obeys = obeys

    def rollout(self, context, actions):
        moves = torch.cat((actions[..., POSITION], actions[..., GRIPPER:]), -1)
        return (context.latents[-1] + moves.cumsum(1))[:, :, None]  # [N, H, L = 1, D]

    def cost(self, context, goal, objective):
        def energies(actions):
            frames = self.rollout(context, actions)
            weights = objective.step_weights(actions.shape[1])
            return sum(
                weight * objective.distance(frames[:, h], goal.latents)
                for h, weight in enumerate(weights)
            )

        return energies

    def context(self):
        return context(self.position.tolist())

    def act(self, action):
        self.position += self.obeys * torch.cat((action[POSITION], action[GRIPPER:]))


def make_planner(world, **changes):
    """One without hand rules, that searches more than enough."""
    config = replace(PLANNERS["paper"], **{"samples": 100} | changes)
    return Planner(config, world, keep_samples=True)


def goal(x, y, z, closedness=0.0, **ends):
    name = f"{x} {y} {z} {closedness}"
    return SubGoal(goal=Goal(latents=latents([x, y, z, closedness]), name=name), **ends)


def make_task(goals, *, max_steps=30, near=0.0, seed=0):
    return Task(sub_goals=tuple(goals), max_steps=max_steps, near=near, seed=seed)


def run(world, planner, task):
    """Decide and act to the end; all decisions."""
    decisions = []
    while not decisions or decisions[-1].status is TaskStatus.RUNNING:
        task, decision = planner.plan(task, world.context())
        decisions.append(decision)
        if decision.action is not None:
            world.act(decision.action)
    return decisions
