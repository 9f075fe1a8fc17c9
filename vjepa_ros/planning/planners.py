"""Planners by name: every number of a planner that was found to work with a model.

`tiny` belongs to the weights that the project ships. Its numbers were chosen on scenes that
no figure is reported for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.limits import ActionLimits, Box
from vjepa_ros.planning.mpc import MPC, CostModel, SubGoal
from vjepa_ros.planning.objectives import Objective, make_objective
from vjepa_ros.planning.solvers import PRESETS, Solver, make_solver
from vjepa_ros.planning.world_model import Context


@dataclass(frozen=True, kw_only=True)
class PlannerConfig:
    """Metres, closedness, control steps."""

    solver: str = "cem"  # of solvers.SOLVERS, or a preset, which brings its own limits
    samples: int = 96
    iterations: int = 3
    elites: int = 10
    horizon: int = 1
    max_step: float = 0.075  # along each axis
    objective: str = "l1"

    # A sub-goal is reached when the frame differs from it no more than the world model thinks
    # that a move by `tolerance` would make it differ; or else it is left after goal_steps.
    tolerance: float = 0.01
    goal_steps: int = 12

    # What of a plan is carried out, see restrain().
    dead_zone: float = 0.15  # of closedness
    gripper_gate: float = 0.02
    descent_gate: float | None = 0.03
    squeeze: float = 0.2  # of closedness

    def with_solver(self, name: str) -> "PlannerConfig":
        """Another solver; a preset brings its own samples, iterations, elites and horizon."""
        if name not in PRESETS:
            return replace(self, solver=name)
        _, values = PRESETS[name]
        numbers = {key: values[key] for key in ("samples", "iterations", "elites", "horizon")}
        return replace(self, solver=name, **numbers)

    def make_solver(self, seed: int) -> Solver:
        numbers: dict[str, Any] = {
            "samples": self.samples,
            "iterations": self.iterations,
            "elites": self.elites,
            "horizon": self.horizon,
            "seed": seed,
        }
        if self.solver not in PRESETS:
            numbers["limits"] = ActionLimits(translation=Box(self.max_step))
        if self.solver == "cem":
            numbers["gripper_dead_zone"] = 0.0  # restrain() has one, for all solvers
        return make_solver(self.solver, **numbers)


PLANNERS = {"tiny": PlannerConfig()}


@dataclass(frozen=True, kw_only=True)
class GoalFrame:
    """A goal picture's latents [L, D], and the robot's state [7] when it was taken."""

    latents: Tensor
    state: Tensor


def make_mpc(
    config: PlannerConfig, world_model: CostModel, goals: Sequence[GoalFrame], seed: int
) -> MPC:
    """The planner of one task."""
    objective = make_objective(config.objective)
    sub_goals = [
        SubGoal(
            latents=goal.latents,
            energy=energy_nearby(world_model, objective, goal, config.tolerance),
            steps=config.goal_steps,
        )
        for goal in goals
    ]
    return MPC(
        world_model=world_model,
        solver=config.make_solver(seed),
        objective=objective,
        goals=sub_goals,
        max_steps=config.goal_steps * len(goals),
    )


def energy_nearby(
    world_model: CostModel, objective: Objective, goal: GoalFrame, metres: float
) -> float:
    """The mean energy, in the world model's eyes, of having moved that far away from a goal."""
    moves = torch.zeros(6, 1, 7)
    for axis in range(3):
        moves[2 * axis : 2 * axis + 2, 0, axis] = torch.tensor((metres, -metres))
    there = Context(latents=goal.latents[None], states=goal.state[None].float())
    with torch.no_grad():
        return float(world_model.cost(there, goal.latents, objective)(moves).mean())


def restrain(action: Tensor, config: PlannerConfig) -> Tensor:
    """What of a planned action [7] is carried out.

    A planner that looks a step or two ahead takes every short cut: it shuts the fingers on
    the way and sweeps the object off its place. So a step that goes far leaves the fingers
    alone, and one that goes far sideways does not go down. Small changes of the fingers are
    noise. Fingers that shut on an object stop at its sides, where the goal picture shows
    them: they are told to go further, and so hold it.
    """
    action = action.clone()
    x, y, z = action[POSITION].tolist()
    gripper = float(action[GRIPPER])
    if max(abs(x), abs(y), abs(z)) > config.gripper_gate or abs(gripper) < config.dead_zone:
        gripper = 0.0
    elif gripper > 0:
        gripper = min(1.0, gripper + config.squeeze)
    action[GRIPPER] = gripper
    if config.descent_gate is not None and max(abs(x), abs(y)) > config.descent_gate:
        action[2] = max(0.0, z)
    return action
