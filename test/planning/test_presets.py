"""The planners by name, and what a planner's settings may be."""

import math
from dataclasses import replace

import pytest

from vjepa_ros.conventions import GRIPPER
from vjepa_ros.planning.config import OBJECTIVES, PLANNERS, RULES, PlannerConfig
from vjepa_ros.planning.config import SOLVERS as SOLVER_NAMES
from vjepa_ros.planning.limits import Box
from vjepa_ros.planning.objectives import OBJECTIVES as OBJECTIVE_KINDS
from vjepa_ros.planning.rules import MENDING
from vjepa_ros.planning.solvers import CEM, ICEM, SOLVERS, make_solver


@pytest.mark.parametrize(
    ("name", "samples", "iterations", "horizon", "translation", "objective"),
    [
        ("paper", 800, 10, 1, 0.075, "l1"),
        ("notebook", 25, 2, 2, 0.075, "l1"),
        ("jepa_wms", 300, 15, 3, 0.1, "l2"),
        ("vjepa2_1", 300, 15, 8, 0.05, "l1"),
    ],
)
def test_planners_have_their_sources_numbers(
    name, samples, iterations, horizon, translation, objective
):
    config = PLANNERS[name]
    solver = make_solver(config)
    assert isinstance(solver, CEM)
    assert (solver.samples, solver.iterations, solver.horizon) == (samples, iterations, horizon)
    assert solver.elites == 10
    assert solver.limits.translation == Box(translation)
    assert solver.limits.gripper == Box(0.75)
    assert config.objective == objective
    assert config.goal_steps == (4, 10, 4)
    assert config.tolerance is None  # no energy of a predicted frame is a threshold
    assert config.rules == ()


def test_planners_differ_where_their_sources_do():
    names = ("paper", "notebook", "jepa_wms")
    paper, notebook, jepa_wms = (make_solver(PLANNERS[name]) for name in names)
    assert (paper.momentum_std, notebook.momentum_std, jepa_wms.momentum_std) == (0.15, 0.75, 0)
    assert (paper.gripper_dead_zone, jepa_wms.gripper_dead_zone) == (0.25, 0)
    assert (paper.gripper_std, jepa_wms.gripper_std) == (1.0, 0.1)
    assert (paper.limits.rotation, jepa_wms.limits.rotation) == (None, Box(0.1))
    assert (paper.mean_in_population, jepa_wms.mean_in_population) == (False, True)


def test_names_that_settings_take_are_those_that_exist():
    assert tuple(SOLVERS) == SOLVER_NAMES
    assert tuple(OBJECTIVE_KINDS) == OBJECTIVES
    assert set(MENDING) == set(RULES) - {
        *("warm_start", "second_try", "fingers_first", "effort", "probe")
    }


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_take_the_planners_numbers(name):
    numbers = {"samples": 40, "iterations": 4, "horizon": 2, "max_step": 0.05}
    solver = make_solver(replace(PLANNERS["paper"], solver=name, **numbers), keep_samples=True)
    assert type(solver) is SOLVERS[name]
    assert (solver.samples, solver.iterations, solver.horizon) == (40, 4, 2)
    assert solver.limits.translation == Box(0.05)
    assert solver.keep_samples


def test_fingers_that_are_chosen_first_are_not_searched():
    solver = make_solver(PLANNERS["tiny"])
    assert isinstance(solver, ICEM)
    assert solver.limits.held == {GRIPPER: 0.0}


@pytest.mark.parametrize(
    ("axis", "held"),
    [("", {}), ("z=0", {2: 0.0}), ("x=-0.02, gripper = 0.5", {0: -0.02, GRIPPER: 0.5})],
)
def test_axes_are_given_by_name(axis, held):
    assert PlannerConfig(axis=axis).held() == held


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 8}, "elites is 10, expected at most samples, 8"),
        ({"axis": "w=0"}, "axis has 'w=0', expected x, y, z, gripper"),
        ({"axis": "z=0.08"}, "axis has 'z=0.08'"),
        ({"axis": "z"}, "axis has 'z'"),
        ({"axis": "z=0.1.2"}, "axis has 'z=0.1.2'"),
        ({"rules": ("reech",)}, "rules has 'reech', expected some of warm_start"),
        ({"rules": ("effort",)}, "rules has effort, which needs tolerance"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        PlannerConfig(**changes)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cem", {"samples": 0}, "samples is 0"),
        ("cem", {"samples": 64.0}, "samples is 64.0, expected a whole number"),
        ("cem", {"elites": math.nan}, "elites is nan"),
        ("cem", {"elites": 1}, "elites is 1, expected at least 2"),
        ("cem", {"samples": 8}, "elites is 10, expected .* at most samples, 8"),
        ("cem", {"horizon": 0}, "horizon is 0"),
        ("cem", {"iterations": 0}, "iterations is 0"),
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
        ("mppi", {"min_scale": 0.0}, "min_scale is 0"),
        ("gradient", {"step": 0.0}, "step is 0"),
    ],
)
def test_wrong_arguments_are_named(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        SOLVERS[name](**arguments)
