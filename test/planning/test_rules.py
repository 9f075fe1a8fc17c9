"""The hand rules, one by one."""

import pytest
import torch

from vjepa_ros.conventions import GRIPPER, POSITION, apply_action
from vjepa_ros.planning import rules
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.cost_model import energy_nearby
from vjepa_ros.planning.objectives import L1, L2
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.rules import Fingers, Situation
from vjepa_ros.planning.world_model import Context, Goal


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
            return objective.distance(state[..., self.numbers, None], goal.latents)

        return energies


def action(x=0.0, y=0.0, z=0.0, gripper=0.0):
    return torch.tensor([x, y, z, 0.0, 0.0, 0.0, gripper])


def situation(*names, **about):
    numbers = {"still_above": 0.02, "descent_gate": 0.03, "descent_drift": 0.01, "squeeze_by": 0.2}
    now = {"energy": 1.0, "fingers": None, "place": torch.zeros(3)}
    now |= {"best_place": torch.zeros(3), "reach": 1.0}
    return Situation(config=PlannerConfig(rules=names, **numbers), **now | about)


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
def test_what_is_left_of_a_step(planned, carried_out):
    before = planned[None].clone()
    plan = rules.mended(before, situation("still_fingers", "descent", "squeeze"))
    assert torch.allclose(plan[0], carried_out)
    assert torch.equal(before[0], planned)
    assert torch.equal(rules.mended(before, situation()), before)


def test_a_step_ends_within_reach_of_the_best_place():
    now = situation("reach", place=torch.tensor([0.01, 0, 0]), reach=0.02)
    plan = rules.mended(action(x=0.05)[None], now)
    assert plan[0, 0] == pytest.approx(0.01)
    near = action(x=-0.02)[None]
    assert torch.equal(rules.mended(near, now), near)


@pytest.mark.parametrize(("energy", "rests"), [(0.9, False), (1.0, True), (1.1, True)])
def test_the_arm_rests_where_the_plan_is_no_better_than_staying(energy, rests):
    now = situation("rest", energy=energy, fingers=Fingers(change=0.5, at_rest=1.0))
    plan = rules.mended(action(x=0.05, gripper=0.5).repeat(2, 1), now)
    assert bool((plan[:, POSITION] == 0).all()) is rests
    assert (plan[:, GRIPPER] == 0.5).all()


# --- fingers -----------------------------------------------------------------------------


def fingers_cost(energy):
    """Depends on the first change of closedness, and a little on dx."""
    return lambda actions: energy(actions[:, 0, GRIPPER]) + actions[:, 0, 0].abs()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(0.4, 0.5), (0.15, 0.1), (-0.9, -0.75), (0.02, 0.0), (float("nan"), 0.0)],
)
def test_the_fingers_go_where_the_energy_is_least(wanted, expected):
    cost = fingers_cost(lambda change: 1 + (change - wanted).abs())
    found = rules.choose_fingers(cost, rules.CHANGES, gain=0.03, floor=0.0)
    assert found.change == expected
    candidates = torch.rand(3, 2, 7)
    before = candidates.clone()
    energies = rules.with_fingers(cost, found.change)(candidates)
    assert torch.equal(candidates, before)
    if wanted == wanted:
        assert found.at_rest == pytest.approx(1 + abs(expected - wanted))
        torch.testing.assert_close(energies, found.at_rest + candidates[:, 0, 0])


@pytest.mark.parametrize(
    ("gain", "floor", "change"),
    [(0.03, 0.0, 0.0), (0.01, 0.0, 0.75), (0.01, 0.02, 0.0), (0.01, 0.01, 0.75)],
)
def test_the_fingers_stay_when_moving_them_gains_little(gain, floor, change):
    """By as much as they can, they lower an energy of 1 by 0.015."""
    cost = fingers_cost(lambda change: 1 - 0.02 * change)
    assert rules.choose_fingers(cost, rules.CHANGES, gain=gain, floor=floor).change == change


@pytest.mark.parametrize(("moved", "ways"), [(0.0, (-1, 0, 1)), (0.05, (-1, 0, 1)), (0.3, (0, 1))])
def test_towards_one_goal_the_fingers_move_one_way(moved, ways):
    allowed = rules.one_way((-0.5, 0.0, 0.5), rules.moved_way(moved))
    assert tuple(int(2 * change) for change in allowed) == ways


FINGERS = {"rules": ("fingers_first",), "tolerance": 0.01, "gripper_floor": 0.0}


def seen(closedness):
    state = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, closedness]])
    return Context(latents=state[:, [6], None], states=state)


def change_after(goals, *seen_at):
    """What the fingers do at the last of these frames, having headed for one goal at each."""
    config = PlannerConfig(samples=20, iterations=1, goal_steps=(1,), **FINGERS)
    planner = Planner(config, Positions([6]))
    wanted = [Goal(latents=torch.tensor([[one]])) for one in goals]
    task = planner.start(seen(seen_at[0]), wanted, energy=0.0)
    for closedness in seen_at:
        task, decision = planner.plan(task, seen(closedness))
    return decision.action[GRIPPER]


@pytest.mark.parametrize(("picture", "change"), [(0.5, 0.0), (0.75, 0.1), (0.1, -0.5)])
def test_the_fingers_go_the_way_in_which_the_pictures_differ(picture, change):
    """Of closedness: 0.5 in the picture before, and what is seen is 0.6."""
    assert change_after((0.5, picture, 0.0), 0.6, 0.6) == pytest.approx(change)


@pytest.mark.parametrize(("pictures", "change"), [((0.5, 0.5, 0.0), 0.0), ((0.5, 0.5), 0.5)])
def test_towards_the_last_goal_the_fingers_are_free(pictures, change):
    """By the pictures they stay as they are; what is seen is 0.5 more open."""
    assert change_after(pictures, 0.0, 0.0) == pytest.approx(change)


# --- energies ----------------------------------------------------------------------------


def standing(x):
    """The tool at (x, 0, 0): a context, and the goal of its frame."""
    state = torch.zeros(1, 7)
    state[0, 0] = x
    goal = Goal(latents=state[0, POSITION, None])
    return Context(latents=state[:, POSITION, None], states=state), goal


def test_every_metre_along_an_axis_costs_energy():
    here, goal = standing(0.2)
    free = Positions().cost(here, goal, L1())
    actions = torch.zeros(2, 2, 7)
    actions[1, 0, :3] = torch.tensor((0.03, 0.0, 0.04))
    actions[1, 1, :3] = torch.tensor((0.0, -0.02, 0.0))
    dear = rules.with_effort(free, 0.5, torch.zeros(2, 3))(actions) - free(actions)
    assert torch.allclose(dear, torch.tensor((0.0, 0.5 * 0.09)))
    dear = rules.with_effort(free, 0.5, actions[1, :, :3])(actions) - free(actions)
    assert torch.allclose(dear, torch.tensor((0.5 * 0.09, 0.0)))


@pytest.mark.parametrize(("objective", "expected"), [(L1(), 0.02 / 3), (L2(), 0.02**2 / 3)])
def test_energy_nearby_is_that_of_a_move_along_one_axis(objective, expected):
    context, _ = standing(0.5)
    assert energy_nearby(Positions(), objective, context, 0.02) == pytest.approx(expected, rel=1e-3)
