import math

import pytest

from vjepa_ros.planning.limits import Box
from vjepa_ros.planning.solvers import CEM, PRESETS, make_solver


@pytest.mark.parametrize(
    ("name", "samples", "iterations", "horizon", "translation"),
    [
        ("paper", 800, 10, 1, 0.075),
        ("notebook", 25, 2, 2, 0.075),
        ("jepa_wms", 300, 15, 3, 0.1),
        ("vjepa2_1", 300, 15, 8, 0.05),
    ],
)
def test_presets_have_their_sources_numbers(name, samples, iterations, horizon, translation):
    solver = make_solver(name)
    assert isinstance(solver, CEM)
    assert (solver.samples, solver.iterations, solver.horizon) == (samples, iterations, horizon)
    assert solver.elites == 10
    assert solver.limits.translation == Box(translation)
    assert solver.limits.gripper == Box(0.75)


def test_presets_differ_where_their_sources_do():
    paper, notebook, jepa_wms = (make_solver(name) for name in ("paper", "notebook", "jepa_wms"))
    assert (paper.momentum_std, notebook.momentum_std, jepa_wms.momentum_std) == (0.15, 0.75, 0)
    assert (paper.gripper_dead_zone, jepa_wms.gripper_dead_zone) == (0.25, 0)
    assert (paper.gripper_std, jepa_wms.gripper_std) == (1.0, 0.1)
    assert (paper.limits.rotation, jepa_wms.limits.rotation) == (None, Box(0.1))
    assert (paper.mean_in_population, jepa_wms.mean_in_population) == (False, True)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_take_arguments_of_ones_own(name):
    solver = make_solver(name, samples=20, horizon=2, iterations=2, seed=3)
    solution = solver.solve(lambda actions: actions.square().sum((1, 2)))
    assert solution.statistics.energies.shape == (2, 20)
    assert solution.seed == 3


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cmaes", {}, "solver 'cmaes' is unknown, expected one of cem, icem"),
        ("cem", {"beta": 2}, "solver 'cem' has no argument 'beta', expected some of horizon"),
        ("cem", {"samples": 0}, "samples is 0"),
        ("cem", {"samples": 64.0}, "samples is 64.0, expected a whole number"),
        ("cem", {"elites": math.nan}, "elites is nan"),
        ("cem", {"elites": 1}, "elites is 1, expected at least 2"),
        ("cem", {"samples": 8}, "elites is 10, expected .* at most samples, 8"),
        ("cem", {"horizon": 0}, "horizon is 0"),
        ("cem", {"iterations": 0}, "iterations is 0"),
        ("cem", {"seed": -1}, "seed is -1"),
        ("cem", {"gripper_std": 0.0}, "gripper_std is 0"),
        ("cem", {"gripper_std": math.nan}, "gripper_std is nan"),
        ("cem", {"momentum_std": 1.0}, "momentum_std is 1"),
        ("cem", {"momentum_mean_gripper": -0.1}, "momentum_mean_gripper is -0.1"),
        ("cem", {"gripper_dead_zone": -1.0}, "gripper_dead_zone is -1"),
        ("icem", {"beta": -1.0}, "beta is -1"),
        ("icem", {"decay": 0.5}, "decay is 0.5"),
        ("icem", {"momentum": 1.0}, "momentum is 1"),
        ("icem", {"kept_elites": 1.1}, "kept_elites is 1.1"),
        ("icem", {"beta": math.nan}, "beta is nan"),
        ("icem", {"decay": math.nan}, "decay is nan"),
        ("mppi", {"temperature": 0.0}, "temperature is 0"),
        ("mppi", {"temperature": math.nan}, "temperature is nan"),
        ("mppi", {"min_std": 2.0}, "min_std is 2"),
        ("gradient", {"step": 0.0}, "step is 0"),
    ],
)
def test_wrong_arguments_are_named(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_solver(name, **arguments)
