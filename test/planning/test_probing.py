"""Feeling for a goal along the line on which imagination is blind."""

from dataclasses import replace

import pytest
import torch

from point_world import PointWorld, context, latents, make_task, run
from vjepa_ros.conventions import POSITION
from vjepa_ros.planning.config import PLANNERS, RULES
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.probing import blind_way, with_time
from vjepa_ros.planning.summary import search_curve
from vjepa_ros.planning.task import SubGoal, TaskStatus
from vjepa_ros.planning.world_model import Goal

TINY = replace(PLANNERS["tiny"], rules=RULES)
GOAL = Goal(latents=latents([0.43, 0.06, 0.27, 0.0]), name="there")
LINE = torch.tensor((1.0, 0.0, -1.0)) / 2**0.5  # of sight


class BlindAlongALine(PointWorld):
    """Imagines no difference from a move towards the camera; what it sees then shows one."""

    def rollout(self, context, actions):
        way = actions[..., POSITION]
        blind = actions.clone()
        blind[..., POSITION] = way - (way @ LINE)[..., None] * LINE
        return super().rollout(context, blind)


def ended(rules, **changes):
    world = BlindAlongALine()
    planner = Planner(replace(TINY, rules=rules, **changes), world)
    goal = with_time(SubGoal(goal=GOAL, steps=12, patience=4), planner.config)
    decisions = run(world, planner, make_task([goal], near=0.001))
    off = world.position[:3] - GOAL.latents[0, :3]
    return decisions, float(off.norm())


def test_what_imagination_is_blind_to_is_felt_for():
    without, off = ended(tuple(rule for rule in TINY.rules if rule != "probe"))
    assert off > 0.035
    assert not any("probing" in one.reason for one in without)
    decisions, off = ended(TINY.rules)
    assert off < 0.015
    assert any("probing" in one.reason for one in decisions)


@pytest.mark.parametrize("wrong_way", [1.0, -1.0])
def test_where_neither_way_is_nearer_it_comes_back(wrong_way):
    """The goal is where the arm is, and the picture never wholly what is seen."""
    world = PointWorld()
    here = world.position.tolist()
    odd = Goal(latents=latents([*here[:3], 0.3 * wrong_way]), name="odd")
    planner = Planner(replace(TINY, rules=("rest", "reach", "probe")), world)
    goal = with_time(SubGoal(goal=odd, steps=12, patience=4), planner.config)
    world.act = lambda action: setattr(
        world, "position", world.position + torch.cat((action[POSITION], torch.zeros(1)))
    )
    decisions = run(world, planner, make_task([goal], near=0.001))
    assert decisions[-1].status is TaskStatus.STALLED
    assert sum("probing" in one.reason for one in decisions) == 3
    assert world.position.tolist() == pytest.approx(here, abs=1e-3)


def test_a_search_of_two_steps_goes_on_from_a_probe():
    """It begins at the plan before, shifted."""
    decisions, off = ended(TINY.rules, horizon=2)
    probes = [one for one in decisions if "probing" in one.reason]
    assert probes
    left = [24 - decisions.index(one) for one in probes]  # of 12 steps, and 12 more to probe in
    assert [len(one.solution.actions) for one in probes] == [min(2, steps) for steps in left]
    assert decisions.index(probes[0]) < len(decisions) - 2
    for one in probes:  # what is published of a plan is there
        assert search_curve(one.solution).best.tolist() == pytest.approx([one.solution.energy])
    assert off < 0.035


def test_no_probe_is_begun_that_could_not_be_brought_home():
    world = BlindAlongALine()
    planner = Planner(TINY, world)
    goal = SubGoal(goal=GOAL, steps=5, patience=5)
    decisions = run(world, planner, make_task([goal], near=0.001))
    assert len(decisions) == 6
    assert not any("probing" in one.reason for one in decisions)


def test_the_blind_way_is_where_imagined_energies_hardly_change():
    def cost(actions):
        way = actions[:, 0, POSITION]
        along = way @ LINE
        across = way - along[:, None] * LINE
        return 0.1 + 40 * across.square().sum(1) + along.square() - 0.2 * along

    way = blind_way(cost, 0.015)
    assert float(way.norm()) == pytest.approx(0.015)
    assert float(way @ LINE) > 0.0149  # along the line, and where the energy falls


def test_where_a_move_cannot_be_scored_there_is_no_probe():
    assert blind_way(lambda actions: torch.full((len(actions),), torch.nan), 0.015) is None


def test_only_the_last_goal_is_given_time_to_probe():
    planner = Planner(TINY, PointWorld())
    first, last = planner.start(context([0.4, 0.0, 0.3, 0.0]), [GOAL, GOAL]).sub_goals
    assert (first.steps, first.patience) == (12, 4)
    assert last.steps > 12
    assert last.patience == 5
