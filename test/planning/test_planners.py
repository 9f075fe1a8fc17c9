"""What of a plan is carried out, when a sub-goal is reached, and which solver looks for it."""

from dataclasses import replace

import pytest
import torch

from vjepa_ros.conventions import GRIPPER, POSITION, apply_action
from vjepa_ros.planning.objectives import L1, L2
from vjepa_ros.planning.planners import (
    PLANNERS,
    FingersFirst,
    PlannerConfig,
    energy_nearby,
    make_mpc,
    restrain,
)
from vjepa_ros.planning.solvers import CEM, ICEM, MPPI
from vjepa_ros.planning.solvers import PRESETS as SOLVER_PRESETS
from vjepa_ros.planning.world_model import Context

CONFIG = PlannerConfig(gripper_gate=0.02, descent_gate=0.03, descent_drift=0.01, squeeze=0.2)


class Positions:
    """A world whose latents are some of the state's numbers, by default the position."""

    def __init__(self, numbers=(0, 1, 2)) -> None:
        self.numbers = list(numbers)

    def cost(self, context, goal, objective):
        def energies(actions):
            state = context.states[-1].repeat(len(actions), 1)
            state[:, self.numbers] = context.latents[-1, :, 0]
            for action in actions.unbind(1):
                state = apply_action(state, action)
            return objective.distance(state[..., self.numbers, None], goal)

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
        (action(0.0, 0.021, 0.0, 0.7), action(0.0, 0.021, 0.0)),  # not on the way
        (action(0.0, 0.0, -0.03, -0.7), action(0.0, 0.0, -0.03)),
        (action(0.05, 0.0, -0.07), action(0.05)),  # first over it, then down
        (action(0.05, 0.0, 0.07), action(0.05, 0.0, 0.07)),
        (action(0.025, 0.005, -0.07), action(0.01, 0.002, -0.07)),  # then, straight down
        (action(0.025, 0.005, -0.005), action(0.025, 0.005, -0.005)),
    ],
)
def test_what_of_a_plan_is_carried_out(planned, carried_out):
    before = planned.clone()
    assert torch.allclose(restrain(planned, CONFIG), carried_out)
    assert torch.equal(planned, before)


def standing(x):
    """The tool at (x, 0, 0): a context, and the latents [3, 1] of its frame."""
    state = torch.zeros(1, 7)
    state[0, 0] = x
    return Context(latents=state[:, POSITION, None], states=state), state[0, POSITION, None]


A_TASK = (*standing(0.2), L1())


class Fingers:
    """A world whose energy depends on the first change of closedness, and a little on dx."""

    def __init__(self, energy):
        self.energy = energy

    def cost(self, context, goal, objective):
        return lambda actions: self.energy(actions[:, 0, GRIPPER]) + actions[:, 0, 0].abs()


def fingers_first(world, **changes):
    numbers = {"gain": 0.1, "floor": 0.0, "picture_gain": None, "effort": 0.0}
    return FingersFirst(world, **numbers | changes)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(0.4, 0.5), (0.15, 0.1), (-0.9, -0.75), (0.02, 0.0), (float("nan"), 0.0)],
)
def test_the_fingers_go_where_the_energy_is_least(wanted, expected):
    world = fingers_first(Fingers(lambda change: 1 + (change - wanted).abs()), gain=0.03)
    cost = world.cost(*A_TASK)
    assert world.change == expected
    candidates = torch.rand(3, 2, 7)
    before = candidates.clone()
    energies = cost(candidates)
    assert torch.equal(candidates, before)
    if wanted == wanted:
        expected_energies = 1 + abs(expected - wanted) + candidates[:, 0, 0]
        assert torch.allclose(energies, expected_energies)


@pytest.mark.parametrize(
    ("gain", "floor", "change"),
    [(0.03, 0.0, 0.0), (0.01, 0.0, 0.75), (0.01, 0.02, 0.0), (0.01, 0.01, 0.75)],
)
def test_the_fingers_stay_when_moving_them_gains_little(gain, floor, change):
    """By as much as they can, they lower an energy of 1 by 0.015."""
    world = fingers_first(Fingers(lambda change: 1 - 0.02 * change), gain=gain, floor=floor)
    world.cost(*A_TASK)
    assert world.change == change


@pytest.mark.parametrize(("closedness", "change"), [(0.0, -0.5), (0.05, -0.5), (0.3, 0.0)])
def test_towards_one_goal_the_fingers_move_one_way(closedness, change):
    world = fingers_first(Fingers(lambda change: 1 + (change + 0.5).abs()))
    (context, goal), another = standing(0.2), standing(0.3)[1]
    world.cost(context, goal, L1())
    context.states[-1, GRIPPER] = closedness
    world.cost(context, goal, L1())
    assert world.change == change
    world.cost(context, another, L1())
    assert world.change == -0.5


@pytest.mark.parametrize(("gripper", "change"), [(0.5, 0.0), (0.75, 0.1), (0.1, -0.5)])
def test_the_fingers_go_the_way_in_which_the_pictures_differ(gripper, change):
    """Of closedness: 0.5 in the picture before, and what is seen is 0.6."""
    world = fingers_first(Positions([6]), picture_gain=0.03)
    seen = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6]])
    context = Context(latents=seen[:, [6], None], states=seen)
    world.cost(context, torch.tensor([[0.5]]), L1())
    world.cost(context, torch.tensor([[gripper]]), L1())
    assert world.change == change


@pytest.mark.parametrize(("last", "change"), [(False, 0.0), (True, 0.5)])
def test_towards_the_last_goal_the_fingers_are_free(last, change):
    """By the pictures they stay as they are; what is seen is 0.5 more open."""
    before, goal = torch.tensor([[0.5]]), torch.tensor([[0.5]])
    world = fingers_first(Positions([6]), picture_gain=0.03, last=goal if last else None)
    context = Context(latents=torch.zeros(1, 1, 1), states=torch.zeros(1, 7))
    world.cost(context, before, L1())
    world.cost(context, goal, L1())
    assert world.change == change


def test_the_arm_rests_where_the_plan_is_no_better_than_staying():
    """The mean of good candidates need not be good itself."""
    here, goal = standing(0.2)
    mpc = make_mpc(PLANNERS["tiny"], Positions(), here, [goal], seed=0)
    mpc.goals = [replace(mpc.goals[0], energy=None)]
    decision = mpc.step(here)
    assert not decision.action[POSITION].any()
    assert not decision.solution.actions[:, POSITION].any()


def test_every_metre_along_an_axis_costs_energy():
    world = fingers_first(Positions(), effort=0.5)
    here, goal = standing(0.2)
    cost = world.cost(here, goal, L1())
    actions = torch.zeros(2, 2, 7)
    actions[1, 0, :3] = torch.tensor((0.03, 0.0, 0.04))
    actions[1, 1, :3] = torch.tensor((0.0, -0.02, 0.0))
    free = Positions().cost(here, goal, L1())(actions)
    assert torch.allclose(cost(actions) - free, torch.tensor((0.0, 0.5 * 0.09)))


def test_the_fingers_are_planned_by_trying_values_in_turn():
    """The plan that is reported is the one that is carried out."""
    start = torch.tensor([[0.4, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0]])
    context = Context(latents=start[:, [0, 1, 2, 6], None], states=start)
    goal = torch.tensor([0.4, 0.0, 0.3, 0.5])[:, None]
    mpc = make_mpc(PLANNERS["tiny"], Positions([0, 1, 2, 6]), context, [goal], seed=0)
    decision = mpc.step(context)
    assert decision.action[GRIPPER] == 0.5
    assert torch.equal(decision.solution.actions[0], decision.action)


@pytest.mark.parametrize(("objective", "expected"), [(L1(), 0.02 / 3), (L2(), 0.02**2 / 3)])
def test_energy_nearby_is_that_of_a_move_along_one_axis(objective, expected):
    context, _ = standing(0.5)
    assert energy_nearby(Positions(), objective, context, 0.02) == pytest.approx(expected, rel=1e-3)


def test_a_sub_goal_asks_for_less_than_it_differs_from_the_one_before():
    start, _ = standing(0.2)
    goals = [standing(x)[1] for x in (0.3, 0.6, 0.606)]
    config = PlannerConfig(tolerance=0.012, share=0.5, goal_steps=7)
    mpc = make_mpc(config, Positions(), start, goals, seed=3)
    assert [goal.energy for goal in mpc.goals] == pytest.approx([0.004, 0.004, 0.001], rel=1e-3)
    assert [goal.steps for goal in mpc.goals] == [7, 7, 7]
    assert mpc.max_steps == 42  # each may be tried again
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
        assert config.make_solver(seed=0).samples == config.samples
