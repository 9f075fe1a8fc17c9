"""Searches for the actions of the least energy, one solver per file."""

from dataclasses import fields, replace

from vjepa_ros.conventions import GRIPPER
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.limits import ActionLimits, Box
from vjepa_ros.planning.solvers.base import (
    Cost,
    PlanningError,
    Solution,
    Solver,
    Statistics,
    remembering,
    shifted,
)
from vjepa_ros.planning.solvers.cem import CEM
from vjepa_ros.planning.solvers.gradient import Gradient
from vjepa_ros.planning.solvers.icem import ICEM
from vjepa_ros.planning.solvers.mppi import MPPI
from vjepa_ros.planning.solvers.quadratic import Quadratic

__all__ = [
    "CEM",
    "ICEM",
    "MPPI",
    "SOLVERS",
    "Cost",
    "Gradient",
    "PlanningError",
    "Quadratic",
    "Solution",
    "Solver",
    "Statistics",
    "make_limits",
    "make_solver",
    "remembering",
    "shifted",
]

SOLVERS: dict[str, type[Solver]] = {
    "cem": CEM,
    "icem": ICEM,
    "quadratic": Quadratic,
    "mppi": MPPI,
    "gradient": Gradient,
}


def make_solver(config: PlannerConfig, *, keep_samples: bool = False) -> Solver:
    """Give the solver that a planner's settings describe, with those that it knows."""
    kind = SOLVERS[config.solver]
    known = {field.name for field in fields(kind)}
    settings = {name: value for name, value in vars(config).items() if name in known}
    limits = make_limits(config)
    if "fingers_first" in config.rules:  # which chooses for the gripper itself
        limits = replace(limits, held={**limits.held, GRIPPER: 0.0})
    return kind(**settings, limits=limits, keep_samples=keep_samples)


def make_limits(config: PlannerConfig) -> ActionLimits:
    """Give the limits of one step that a planner's settings describe."""
    return ActionLimits(
        translation=Box(config.max_step),
        rotation=Box(config.max_turn) if config.max_turn else None,
        gripper=Box(config.max_grip),
        held=config.held(),
        closing=config.close_gripper,
    )
