"""When the planner goes from one sub-goal to the next, or back to the one before."""

import pytest
import torch

from point_world import START, PointWorld, context, goal, make_planner, make_task, run
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.task import TaskStatus
from vjepa_ros.planning.world_model import Goal


@pytest.mark.parametrize(("solver", "horizon"), [("cem", 1), ("icem", 3), ("mppi", 2)])
def test_goals_are_reached_one_after_the_other_by_energy(solver, horizon):
    world = PointWorld()
    goals = [goal(0.5, 0.1, 0.3, energy=0.01), goal(0.5, 0.1, 0.1, 0.7, energy=0.02)]
    search = {"solver": solver, "samples": 200, "iterations": 15, "horizon": horizon}
    planner = make_planner(world, rules=("warm_start",), **search)
    decisions = run(world, planner, make_task(goals))

    end = decisions[-1]
    assert end.status is TaskStatus.REACHED
    assert end.action is None
    assert end.goal == 1
    assert end.energy <= 0.02
    assert end.energy == pytest.approx(
        float(L1().distance(world.context().latents, goals[1].goal.latents))
    )
    aimed_at = [decision.goal for decision in decisions]
    assert aimed_at == sorted(aimed_at)
    assert set(aimed_at) == {0, 1}
    assert len(decisions) <= 15


def headed_for(goals, *, obeys=1.0, **about):
    world = PointWorld(obeys=obeys)
    near = about.pop("near", 0.0)
    decisions = run(world, make_planner(world, **about), make_task(goals, near=near))
    return [decision.goal for decision in decisions], decisions[-1]


def test_a_goal_is_left_after_its_steps():
    goals = [goal(0.9, 0.0, 0.3, steps=2), goal(0.4, 0.9, 0.3, steps=3), goal(*START, steps=1)]
    numbers, end = headed_for(goals)
    assert numbers == [0, 0, 1, 1, 1, 2, 2]
    assert end.status is TaskStatus.OUT_OF_STEPS
    assert "its 1 steps" in end.reason


def test_a_goal_is_left_when_steps_bring_it_no_nearer():
    goals = [goal(0.9, 0.0, 0.3, patience=3), goal(0.4, 0.9, 0.3, patience=2)]
    numbers, end = headed_for(goals, obeys=0.0)
    assert numbers == [0, 0, 0, 1, 1, 1]
    assert end.status is TaskStatus.STALLED
    assert "2 steps have not brought the energy" in end.reason


def test_slow_progress_is_no_stall():
    _, end = headed_for([goal(0.6, 0.0, 0.3, energy=0.005, patience=2)], obeys=0.2)
    assert end.status is TaskStatus.REACHED


def test_a_new_goal_starts_a_new_count_of_patience():
    # Far from the second goal, the energy is always above what the first one had.
    goals = [goal(0.42, 0.0, 0.3, steps=3, patience=4), goal(2.0, 0.0, 0.3, steps=8, patience=4)]
    numbers, end = headed_for(goals, obeys=0.2, min_improvement=0.001)
    assert numbers == [0] * 3 + [1] * 9
    assert end.status is TaskStatus.OUT_OF_STEPS


SECOND_TRY = {"rules": ("second_try",), "tolerance": 0.01, "near": 0.01}


def test_a_goal_that_was_missed_is_tried_once_more_from_the_one_before():
    goals = [goal(x, 0.0, 0.3, steps=1) for x in (0.5, 0.9, 0.5)]
    numbers, end = headed_for(goals, obeys=0.0, missed=8.0, **SECOND_TRY)
    assert numbers == [0, 1, 0, 1, 2, 2]
    assert end.status is TaskStatus.OUT_OF_STEPS


def test_no_goal_is_missed_for_what_sets_all_goals_apart():
    """Here closedness, as another light would."""
    goals = [goal(x, 0, 0.3, 1, steps=1) for x in (0.4, 0.5, 0.6)]
    assert headed_for(goals, obeys=0.0, missed=10.0, **SECOND_TRY)[0] == [0, 1, 2, 2]


def test_a_second_try_goes_back_by_no_more_than_one_goal():
    world = PointWorld()
    planner = make_planner(world, missed=1.0, rules=("second_try",), tolerance=0.01)
    task = make_task([goal(x, 0.0, 0.3, steps=1) for x in (0.4, 0.5, 0.6, 0.9)], near=0.01)
    numbers = []
    for x in (0.4, 0.5, 0.5, 0.9, 0.9):
        task, decision = planner.plan(task, context([x, 0.0, 0.3, 0.0]))
        numbers.append(decision.goal)
    assert numbers == [0, 1, 2, 1, 2]


def test_neither_the_first_nor_the_last_goal_is_tried_again():
    goals = [goal(x, 0.0, 0.3, steps=1) for x in (0.5, 0.9)]
    assert headed_for(goals, obeys=0.0, missed=1.0, **SECOND_TRY)[0] == [0, 1, 1]


class Mistaken(PointWorld):
    """Its predictions take every place for one that is 3 cm nearer to the base."""

    def cost(self, context, goal, objective):
        there = goal.latents + torch.tensor([0.03, 0.0, 0.0, 0.0])
        return super().cost(context, Goal(latents=there), objective)


def test_steps_that_help_no_more_stay_where_the_energy_was_lowest():
    target = goal(0.5, 0.0, 0.3, patience=4)

    def miss(**changes):
        world = Mistaken()
        run(world, make_planner(world, **changes), make_task([target]))
        return float((world.position - torch.tensor([0.5, 0.0, 0.3, 0.0])).norm())

    assert miss() == pytest.approx(0.03, abs=0.005)
    assert miss(rules=("reach",), min_reach=0.002) < 0.012


def test_the_search_is_no_wider_than_the_next_step_may_go():
    asked = []

    class Listening(Mistaken):
        def cost(self, context, goal, objective):
            score = super().cost(context, goal, objective)

            def energies(actions):
                asked.append(float(actions[:, 0, :3].abs().max()))
                return score(actions)

            return energies

    world, task = Listening(), make_task([goal(0.5, 0.0, 0.3, patience=4)])
    planner = make_planner(world, rules=("reach",), min_reach=0.002, horizon=1)
    far = torch.full((2, 1, 7), 0.05)  # what a policy proposes
    while task.end is None:
        task, decision = planner.plan(task, world.context(), far)
        if decision.action is not None:
            world.act(decision.action)
    assert asked[0] > 0.05  # far from the goal
    assert asked[-1] < 0.025  # where steps have helped no more


def test_energy_or_steps_whichever_comes_first():
    goals = [
        goal(0.46, 0.0, 0.3, energy=0.01, steps=5),  # one step away
        goal(0.9, 0.0, 0.3, energy=0.01, steps=2),  # too far for two steps
        goal(0.9, 0.0, 0.3, energy=0.01),
    ]
    numbers, end = headed_for(goals)
    assert numbers[:4] == [0, 1, 1, 2]
    assert end.status is TaskStatus.REACHED


def test_goals_that_the_frame_already_shows_are_skipped():
    world = PointWorld()
    goals = [goal(*START, energy=0.01), goal(*START, energy=0.02), goal(0.5, 0, 0.3, energy=0.01)]
    planner = make_planner(world)
    assert planner.plan(make_task(goals), world.context())[1].goal == 2
    _, end = planner.plan(make_task(goals[:2]), world.context())
    assert (end.status, end.goal, end.action) == (TaskStatus.REACHED, 1, None)
