"""Searches for the actions of the least energy, one solver per file."""

from vjepa_ros.planning.solvers.base import (
    Cost,
    PlanningError,
    Solution,
    Solver,
    Statistics,
    shifted,
)
from vjepa_ros.planning.solvers.cem import CEM
from vjepa_ros.planning.solvers.gradient import Gradient
from vjepa_ros.planning.solvers.icem import ICEM
from vjepa_ros.planning.solvers.mppi import MPPI
from vjepa_ros.planning.solvers.presets import PRESETS, SOLVERS, make_solver

__all__ = [
    "CEM",
    "ICEM",
    "MPPI",
    "PRESETS",
    "SOLVERS",
    "Cost",
    "Gradient",
    "PlanningError",
    "Solution",
    "Solver",
    "Statistics",
    "make_solver",
    "shifted",
]
