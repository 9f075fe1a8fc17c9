"""Solvers by name: the plain ones, and presets named after where their numbers come from."""

from dataclasses import fields
from typing import Any

from vjepa_ros.planning.limits import ActionLimits, Box
from vjepa_ros.planning.solvers.base import Solver
from vjepa_ros.planning.solvers.cem import CEM
from vjepa_ros.planning.solvers.gradient import Gradient
from vjepa_ros.planning.solvers.icem import ICEM
from vjepa_ros.planning.solvers.mppi import MPPI

SOLVERS: dict[str, type[Solver]] = {"cem": CEM, "icem": ICEM, "mppi": MPPI, "gradient": Gradient}

PRESETS: dict[str, tuple[type[Solver], dict[str, Any]]] = {
    # V-JEPA 2 (arXiv 2506.09985): 800 samples, 10 iterations, top 10, one step, 0.075 m. The
    # paper gives no momenta: these are the defaults of `mpc_args` in the released code's
    # notebooks/utils/world_model_wrapper.py (mean, std) and mpc_utils.py (gripper).
    "paper": (
        CEM,
        {
            "horizon": 1,
            "samples": 800,
            "iterations": 10,
            "elites": 10,
            "limits": ActionLimits(translation=Box(0.075)),
            "momentum_mean": 0.15,
            "momentum_std": 0.15,
            "momentum_mean_gripper": 0.15,
            "momentum_std_gripper": 0.15,
        },
    ),
    # facebookresearch/vjepa2, notebooks/energy_landscape_example.ipynb, last cell: few samples
    # and iterations, to run on a CPU.
    "notebook": (
        CEM,
        {
            "horizon": 2,
            "samples": 25,
            "iterations": 2,
            "elites": 10,
            "limits": ActionLimits(translation=Box(0.075)),
            "momentum_mean": 0.15,
            "momentum_std": 0.75,
            "momentum_mean_gripper": 0.15,
            "momentum_std_gripper": 0.15,
        },
    ),
    # facebookresearch/jepa-wms, configs/online_plan_evals/droid/droid_L2_cem_…_H3_….yaml and the
    # CEMPlanner that reads it: rotation is searched within the translation's number, all
    # dimensions start with a std of 0.1, the mean is a candidate, nothing is rounded. It
    # belongs with the L2 objective.
    "jepa_wms": (
        CEM,
        {
            "horizon": 3,
            "samples": 300,
            "iterations": 15,
            "elites": 10,
            "limits": ActionLimits(translation=Box(0.1), rotation=Box(0.1), gripper=Box(0.75)),
            "gripper_std": 0.1,
            "momentum_mean": 0.0,
            "momentum_std": 0.0,
            "momentum_mean_gripper": 0.0,
            "momentum_std_gripper": 0.0,
            "gripper_dead_zone": 0.0,
            "mean_in_population": True,
        },
    ),
    # V-JEPA 2.1 (arXiv 2603.14482): 300 samples, 15 iterations, horizon 8, 0.05 m. The rest is
    # INFERRED, for want of its code: elites and momenta are jepa-wms', rotation is fixed and
    # the dead zone is 0.25 as in V-JEPA 2.
    "vjepa2_1": (
        CEM,
        {
            "horizon": 8,
            "samples": 300,
            "iterations": 15,
            "elites": 10,
            "limits": ActionLimits(translation=Box(0.05)),
            "momentum_mean": 0.0,
            "momentum_std": 0.0,
            "momentum_mean_gripper": 0.0,
            "momentum_std_gripper": 0.0,
        },
    ),
}


def make_solver(name: str, **overrides: Any) -> Solver:
    """A solver ("cem", "icem", "mppi", "gradient") or a preset, with arguments of your own."""
    if name in PRESETS:
        kind, values = PRESETS[name]
    elif name in SOLVERS:
        kind, values = SOLVERS[name], {}
    else:
        known = ", ".join((*SOLVERS, *PRESETS))
        raise ValueError(f"solver {name!r} is unknown, expected one of {known}")
    arguments = [field.name for field in fields(kind)]
    for argument in overrides:
        if argument not in arguments:
            raise ValueError(
                f"solver {name!r} has no argument {argument!r}, expected some of "
                f"{', '.join(arguments)}"
            )
    return kind(**{**values, **overrides})
