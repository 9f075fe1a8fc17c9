"""Planners by name: every number of a planner that was found to work with a model.

`tiny` belongs to the weights that the project ships. Its numbers were chosen on scenes that
no figure is reported for. `plain` is for all others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.limits import ActionLimits, Box
from vjepa_ros.planning.mpc import MPC, CostModel, Decision, SubGoal
from vjepa_ros.planning.objectives import Objective, make_objective
from vjepa_ros.planning.solvers import PRESETS, Cost, Solver, make_solver
from vjepa_ros.planning.world_model import Context

# Of closedness; the smallest is that of fingers closing on what nearly fills the hand.
_CHANGES = (-0.75, -0.5, -0.25, 0.0, 0.1, 0.25, 0.5, 0.75)
_MOVED = 0.1  # of closedness, from which on the fingers have moved
_UNSEARCHED = 1e-6  # as a limit of the gripper, which the solver leaves alone


@dataclass(frozen=True, kw_only=True)
class PlannerConfig:
    """Metres, closedness, control steps."""

    solver: str = "mppi"  # of solvers.SOLVERS, or a preset, which brings its own limits
    samples: int = 64
    iterations: int = 3
    elites: int = 8
    horizon: int = 1
    max_step: float = 0.075  # along each axis
    objective: str = "l1"

    # A sub-goal is reached when the frame differs from it no more than the world model thinks
    # that a move by `tolerance` makes it differ, and no more than this share of what the
    # sub-goal before it does (the fingers alone change little). It is left after goal_steps,
    # or `patience` steps that brought it no nearer; those are halved down to min_reach. Left at
    # more than the energy of `missed` such moves, it is tried again from the one before.
    tolerance: float = 0.007
    share: float = 0.5
    goal_steps: int = 12
    patience: int | None = 4
    min_reach: float | None = 0.004
    missed: float | None = 6.0

    # See FingersFirst.
    gripper_gain: float = 0.1
    gripper_floor: float = 1.25  # in energies of moves by `tolerance`
    picture_gain: float | None = 0.03
    effort: float = 0.08  # a move along an axis must gain this share of what one usually changes

    # What of a plan is carried out, see restrain().
    gripper_gate: float = 0.03
    descent_gate: float = 0.03
    descent_drift: float = 0.015
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
            numbers["limits"] = ActionLimits(
                translation=Box(self.max_step), gripper=Box(_UNSEARCHED)
            )
        return make_solver(self.solver, **numbers)


PLANNERS = {
    "tiny": PlannerConfig(),
    # For models that nobody has tried here: V-JEPA 2-AC's solver, every plan is carried out,
    # goals have their steps.
    "plain": PlannerConfig(
        solver="cem",
        gripper_floor=0.0,
        effort=0.0,
        patience=None,
        min_reach=None,
        missed=None,
        picture_gain=None,
    ),
}


def planner_for(preset: str) -> str:
    """The name of the planner that goes with weights of this preset."""
    return preset if preset in PLANNERS else "plain"


def choose_planner(name: str, solver: str | None = None, **changes: Any) -> PlannerConfig:
    """A planner by name; what is not None is changed."""
    config = PLANNERS[name] if solver is None else PLANNERS[name].with_solver(solver)
    return replace(config, **{key: value for key, value in changes.items() if value is not None})


class FingersFirst:
    """A world model whose candidates all move the fingers as `change` says, chosen beforehand.

    Populations small enough for a CPU leave noise in that one dimension, and noise drops what
    is held. So a few values are tried in turn, with the arm at rest, for which alone the
    fingers may move; what is then searched is where the arm should go meanwhile. Towards one
    goal they move one way only: back and forth they push away what they should hold. Which way
    that is, if any, the goal's picture tells beside that of the goal before: a hand in motion
    is read less exactly, and one that seems a little too closed would open and drop its object.
    Towards the last goal they may go either way: fingers that open there, far from where they
    were in the picture before, do not stand out in it.
    """

    def __init__(
        self,
        world_model: CostModel,
        *,
        gain: float,
        floor: float,
        picture_gain: float | None,
        effort: float,
        last: Tensor | None = None,
    ) -> None:
        self.world_model = world_model
        self.gain = gain  # share by which moving the fingers must lower the energy
        self.floor = floor  # energy by which it must, too
        self.picture_gain = picture_gain  # the same from one goal's picture to the next's
        self.effort = effort  # energy that a metre along an axis costs
        self.last = last  # goal, of several
        self.change = 0.0  # of closedness
        self.at_rest = math.inf  # energy of changing that and not moving the arm
        self._goal: Tensor | None = None
        self._changes: Sequence[float] = _CHANGES  # that lead to the goal
        self._closedness = 0.0  # when the goal was first planned to

    def cost(self, context: Context, goal: Tensor, objective: Objective) -> Cost:
        cost = self.world_model.cost(context, goal, objective)
        closedness = float(context.states[-1, GRIPPER])
        if goal is not self._goal:
            self._changes = self._changes_to(goal, context, objective)
            self._goal, self._closedness = goal, closedness
        self._choose_change(cost, closedness - self._closedness)

        def energies(actions: Tensor) -> Tensor:
            actions = actions.clone()
            actions[:, 0, GRIPPER] = self.change
            metres = actions[..., POSITION].abs().sum((-2, -1))
            return cost(actions) + self.effort * metres

        return energies

    def _changes_to(self, goal: Tensor, context: Context, objective: Objective) -> Sequence[float]:
        """Those that lead from the picture of the goal before towards this one's."""
        if self._goal is None or self.picture_gain is None or goal is self.last:
            return _CHANGES
        before = Context(latents=self._goal[None], states=context.states[-1:])
        cost = self.world_model.cost(before, goal, objective)
        way, _ = _best_change(cost, _CHANGES, self.picture_gain, floor=0.0)
        return [change for change in _CHANGES if change == 0 or change * way > 0]

    def _choose_change(self, cost: Cost, moved: float) -> None:
        way = 0.0 if abs(moved) < _MOVED else moved
        changes = [change for change in self._changes if change * way >= 0]
        self.change, self.at_rest = _best_change(cost, changes, self.gain, self.floor)


def _best_change(
    cost: Cost, changes: Sequence[float], gain: float, floor: float
) -> tuple[float, float]:
    """What the fingers should do with the arm at rest, and its energy; they stay if it is not
    lower by a share of `gain` and by `floor`.
    """
    actions = torch.zeros(len(changes), 1, 7)
    actions[:, 0, GRIPPER] = torch.tensor(changes)
    with torch.no_grad():
        energies = cost(actions).nan_to_num(torch.inf)
    best, stay = int(energies.argmin()), changes.index(0.0)
    if not energies[best] < min((1 - gain) * energies[stay], energies[stay] - floor):
        best = stay
    return changes[best], float(energies[best])


@dataclass(kw_only=True)
class FingersFirstMPC(MPC):
    """MPC that stays where no plan is better than staying."""

    world_model: FingersFirst

    def step(self, context: Context, proposals: Tensor | None = None) -> Decision:
        decision = super().step(context, proposals)
        if decision.action is None or decision.solution is None:
            return decision
        plan, action = decision.solution.actions.clone(), decision.action.clone()
        # The mean of good candidates may be a bad one.
        if self.world_model.effort and decision.solution.energy >= self.world_model.at_rest:
            plan[:, POSITION] = action[POSITION] = 0.0
        plan[0, GRIPPER] = action[GRIPPER] = self.world_model.change
        solution = replace(decision.solution, actions=plan)
        return replace(decision, action=action, solution=solution)


def make_mpc(
    config: PlannerConfig,
    world_model: CostModel,
    start: Context,
    goals: Sequence[Tensor],
    seed: int,
) -> MPC:
    """The planner of one task, from its first frame to its goals, latents [L, D] each.

    Its actions go through restrain() before they are carried out.
    """
    objective = make_objective(config.objective)
    near = energy_nearby(world_model, objective, start, config.tolerance)
    changes = [float(objective.distance(b[None], a)) for a, b in pairwise(goals)]
    energies = [near, *(min(near, config.share * change) for change in changes)]
    return FingersFirstMPC(
        world_model=fingers_first(config, world_model, near, goals[-1]),
        solver=config.make_solver(seed),
        objective=objective,
        goals=[
            SubGoal(
                latents=goal,
                energy=energy,
                steps=config.goal_steps,
                patience=config.patience,
                missed=None if config.missed is None else config.missed * near,
            )
            for goal, energy in zip(goals, energies, strict=True)
        ],
        max_steps=config.goal_steps * len(goals) * (1 if config.missed is None else 2),
        min_reach=config.min_reach,
    )


def fingers_first(
    config: PlannerConfig, world_model: CostModel, near: float, last: Tensor | None = None
) -> FingersFirst:
    """`near` is the energy of a move by config.tolerance, `last` the goal that none follows."""
    effort = config.effort * near / config.tolerance
    return FingersFirst(
        world_model,
        gain=config.gripper_gain,
        floor=config.gripper_floor * near,
        picture_gain=config.picture_gain,
        effort=effort,
        last=last,
    )


def energy_nearby(
    world_model: CostModel, objective: Objective, context: Context, metres: float
) -> float:
    """The mean energy, as the world model sees it, of standing that far from where it is."""
    moves = torch.zeros(6, 1, 7)
    for axis in range(3):
        moves[2 * axis : 2 * axis + 2, 0, axis] = torch.tensor((metres, -metres))
    with torch.no_grad():
        return float(world_model.cost(context, context.latents[-1], objective)(moves).mean())


def restrain(action: Tensor, config: PlannerConfig) -> Tensor:
    """What of a planned action [7] is carried out.

    A planner that looks a step or two ahead takes every short cut: it shuts the fingers on
    the way and sweeps the object off its place. So a step that goes far leaves the fingers
    alone, one that goes far sideways does not go down, and one that does go down hardly goes
    sideways, where it would land on what it should enclose. Fingers that shut on an object
    stop at its sides, where the goal picture shows them: they are told to go further, and so
    hold it.
    """
    action = action.clone()
    x, y, z = action[POSITION].tolist()
    if max(abs(x), abs(y), abs(z)) > config.gripper_gate:
        action[GRIPPER] = 0.0
    elif action[GRIPPER] > 0:
        action[GRIPPER] = min(1.0, float(action[GRIPPER]) + config.squeeze)
    sideways = max(abs(x), abs(y))
    if sideways > config.descent_gate:
        action[2] = max(0.0, z)
    elif sideways > config.descent_drift and -z > config.descent_drift:
        action[:2] *= config.descent_drift / sideways
    return action
