"""What of a plan is carried out, when a sub-goal is reached, and which solver looks for it."""

import pytest
import torch

from vjepa_ros.conventions import GRIPPER, POSITION, apply_action
from vjepa_ros.planning.objectives import L1, L2
from vjepa_ros.planning.planners import (
    PLANNERS,
    GoalFrame,
    PlannerConfig,
    energy_nearby,
    make_mpc,
    restrain,
)
from vjepa_ros.planning.solvers import CEM, ICEM, MPPI
from vjepa_ros.planning.solvers import PRESETS as SOLVER_PRESETS

CONFIG = PlannerConfig(dead_zone=0.15, gripper_gate=0.02, descent_gate=0.03, squeeze=0.2)


class Positions:
    """A world whose latents [3, 1] are the tool's position in metres."""

    def cost(self, context, goal, objective):
        def energies(actions):
            state = context.states[-1].expand(len(actions), 7)
            for action in actions.unbind(1):
                state = apply_action(state, action)
            return objective.distance(state[..., POSITION, None], goal)

        return energies


def action(x=0.0, y=0.0, z=0.0, gripper=0.0):
    return torch.tensor([x, y, z, 0.0, 0.0, 0.0, gripper])


@pytest.mark.parametrize(
    ("planned", "carried_out"),
    [
        (action(0.07, 0.01, 0.05), action(0.07, 0.01, 0.05)),
        (action(gripper=0.5), action(gripper=0.7)),  # shuts further than the picture shows
        (action(gripper=0.9), action(gripper=1.0)),
        (action(gripper=-0.5), action(gripper=-0.5)),
        (action(0.01, 0.0, -0.01, 0.1), action(0.01, 0.0, -0.01)),  # noise
        (action(0.0, 0.021, 0.0, 0.7), action(0.0, 0.021, 0.0)),  # not on the way
        (action(0.0, 0.0, -0.03, -0.7), action(0.0, 0.0, -0.03)),
        (action(0.05, 0.0, -0.07), action(0.05)),  # first over it, then down
        (action(0.05, 0.0, 0.07), action(0.05, 0.0, 0.07)),
        (action(0.025, 0.025, -0.07), action(0.025, 0.025, -0.07)),
    ],
)
def test_what_of_a_plan_is_carried_out(planned, carried_out):
    before = planned.clone()
    assert torch.allclose(restrain(planned, CONFIG), carried_out)
    assert torch.equal(planned, before)


def test_the_descent_gate_can_be_left_open():
    config = PlannerConfig(descent_gate=None)
    planned = action(0.05, 0.0, -0.07)
    assert torch.equal(restrain(planned, config), planned)


@pytest.mark.parametrize(("objective", "expected"), [(L1(), 0.02 / 3), (L2(), 0.02**2 / 3)])
def test_energy_nearby_is_that_of_a_move_along_one_axis(objective, expected):
    state = torch.tensor([0.5, 0.1, 0.2, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    goal = GoalFrame(latents=state[POSITION, None].float(), state=state)
    found = energy_nearby(Positions(), objective, goal, 0.02)
    assert found == pytest.approx(expected, rel=1e-3)


def test_sub_goals_ask_for_what_the_world_model_thinks_is_near():
    states = torch.zeros(2, 7, dtype=torch.float64)
    states[1, 0] = 0.3
    goals = [GoalFrame(latents=state[POSITION, None].float(), state=state) for state in states]
    config = PlannerConfig(tolerance=0.012, goal_steps=7)
    mpc = make_mpc(config, Positions(), goals, seed=3)
    assert [goal.energy for goal in mpc.goals] == pytest.approx([0.004, 0.004])
    assert [goal.steps for goal in mpc.goals] == [7, 7]
    assert mpc.max_steps == 14
    assert mpc.solver.seed == 3


@pytest.mark.parametrize(("name", "kind"), [("cem", CEM), ("icem", ICEM), ("mppi", MPPI)])
def test_solvers_take_the_planners_numbers(name, kind):
    config = PlannerConfig(samples=40, iterations=4, horizon=2, max_step=0.05).with_solver(name)
    solver = config.make_solver(seed=9)
    assert isinstance(solver, kind)
    assert (solver.samples, solver.iterations, solver.horizon, solver.seed) == (40, 4, 2, 9)
    assert solver.limits.translation.size == 0.05


def test_a_preset_keeps_its_own_limits():
    solver = PLANNERS["tiny"].with_solver("jepa_wms").make_solver(seed=0)
    _, values = SOLVER_PRESETS["jepa_wms"]
    assert solver.limits == values["limits"]
    assert (solver.samples, solver.horizon) == (values["samples"], values["horizon"])


def test_every_planner_can_be_built():
    for config in PLANNERS.values():
        assert config.make_solver(seed=0).limits.searched()[-1] == GRIPPER
