"""What the planner makes of a policy's proposals, in the world of one point."""

from dataclasses import replace

import pytest
import torch

from point_world import PointWorld, latents, make_planner
from vjepa_ros.conventions import GRIPPER
from vjepa_ros.planning import steering
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.task import TaskStatus
from vjepa_ros.planning.world_model import Goal

GOAL = Goal(latents=latents([0.44, 0.0, 0.3, 0.0]), name="ahead")


def chunk(*rows):
    actions = torch.zeros(len(rows), 7)
    actions[:, :3] = torch.tensor(rows)
    return actions


RIGHT = chunk((0.04, 0.0, 0.0))
SIDEWAYS = chunk((0.04, 0.03, 0.0))
BACK = chunk((-0.04, 0.0, 0.0))


def decide(planner, world, proposals):
    task = planner.start(world.context(), [GOAL], seed=1)
    return planner.plan(task, world.context(), proposals)[1]


@pytest.mark.parametrize("solver", ["cem", "icem", "mppi", "gradient"])
def test_proposals_join_every_solver(solver):
    """A search of few samples that is shown the answer is nearer to it than without."""
    world = PointWorld()
    planner = make_planner(world, solver=solver, samples=8, elites=2, iterations=1)
    alone, shown = decide(planner, world, None), decide(planner, world, RIGHT[None])
    assert shown.solution.energy < alone.solution.energy


def test_rank_does_the_best_of_them_and_nothing_else():
    world = PointWorld()
    planner = make_planner(world, policy_mode="rank")
    decision = decide(planner, world, torch.stack((BACK, SIDEWAYS)))
    assert torch.equal(decision.action, SIDEWAYS[0])
    score = world.cost(world.context(), GOAL, planner.objective)
    assert decision.solution.energy == pytest.approx(float(score(SIDEWAYS[None])[0]))
    assert "the policy's best of 2" in decision.reason


def test_veto_lets_it_drive_unless_staying_is_better():
    world = PointWorld()
    planner = make_planner(world, policy_mode="veto")
    assert torch.equal(decide(planner, world, SIDEWAYS[None]).action, SIDEWAYS[0])
    vetoed = decide(planner, world, BACK[None])
    assert not vetoed.action.any()
    assert "vetoed" in vetoed.reason
    assert vetoed.status is TaskStatus.RUNNING


def carried_out(planner, world, proposals, **ends):
    """All decisions of a task, made and acted on to its end."""
    task, decisions = planner.start(world.context(), [GOAL], seed=1, **ends), []
    while not decisions or decisions[-1].status is TaskStatus.RUNNING:
        task, decision = planner.plan(task, world.context(), proposals)
        decisions.append(decision)
        if decision.action is not None:
            world.act(decision.action)
    return decisions


@pytest.mark.parametrize("mode", ["veto", "blend"])
@pytest.mark.parametrize("chunk", [BACK, chunk((0.0, 0.002, 0.0))])
def test_what_a_policy_has_not_reached_the_planner_tries_alone(mode, chunk):
    world = PointWorld()
    planner = make_planner(world, policy_mode=mode, policy_alpha=0.9, goal_steps=(3,))
    decisions = carried_out(planner, world, chunk[None], energy=0.002)
    assert decisions[-1].status is TaskStatus.REACHED
    assert [steering.ALONE in one.reason for one in decisions[:4]] == [False] * 3 + [True]


def test_the_planner_tries_alone_once():
    world = PointWorld(obeys=0.0)
    planner = make_planner(world, policy_mode="veto", goal_steps=(3,))
    decisions = carried_out(planner, world, BACK[None])
    assert decisions[-1].status is TaskStatus.OUT_OF_STEPS
    assert len(decisions) == 2 * 3 + 1


@pytest.mark.parametrize(("mode", "proposals"), [("veto", None), ("rank", BACK[None])])
def test_nothing_is_tried_again_without_a_policy_or_with_no_other(mode, proposals):
    world = PointWorld(obeys=0.0)
    planner = make_planner(world, policy_mode=mode, goal_steps=(3,))
    decisions = carried_out(planner, world, proposals)
    assert decisions[-1].status is TaskStatus.OUT_OF_STEPS
    assert len(decisions) == 3 + 1


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_blend_is_so_much_of_each(alpha):
    world = PointWorld()
    plans = {
        mode: make_planner(world, policy_mode=mode, policy_alpha=alpha)
        for mode in ("propose", "blend")
    }
    own = decide(plans["propose"], world, BACK[None]).action
    mixed = decide(plans["blend"], world, BACK[None])
    torch.testing.assert_close(mixed.action, alpha * BACK[0] + (1 - alpha) * own)
    score = world.cost(world.context(), GOAL, plans["blend"].objective)
    assert mixed.solution.energy == pytest.approx(float(score(mixed.solution.actions[None])[0]))


def test_chunks_of_any_length_fit_and_limits_hold():
    world = PointWorld()
    planner = make_planner(world, policy_mode="rank", horizon=3, max_step=0.03)
    long = chunk(*[(0.5, 0.0, 0.0)] * 8)
    long[:, 3] = 0.4  # turns, which this planner does not search
    long[:, GRIPPER] = 1.0
    for proposal in (long, long[:1]):
        found = decide(planner, world, proposal[None]).solution.actions
        assert found.shape == (3, 7)
        assert found[0].tolist() == pytest.approx([0.03, 0, 0, 0, 0, 0, 0.75])


def test_without_a_policy_every_mode_is_the_planner_alone():
    world = PointWorld()
    for name in ("paper", "tiny"):
        plain = decide(Planner(PLANNERS[name], world), world, None)
        for mode in ("rank", "veto", "blend"):
            planner = Planner(replace(PLANNERS[name], policy_mode=mode), world)
            assert torch.equal(decide(planner, world, None).action, plain.action)


def test_proposals_without_an_energy_end_the_task():
    class Blind(PointWorld):
        def cost(self, context, goal, objective):
            return lambda actions: torch.full((len(actions),), torch.nan)

    world = Blind()
    decision = decide(make_planner(world, policy_mode="rank"), world, RIGHT[None])
    assert decision.status is TaskStatus.PLANNING_FAILED


@pytest.mark.parametrize("mode", ["propose", "rank", "veto", "blend"])
def test_more_proposals_than_a_population_are_no_trouble(mode):
    world = PointWorld()
    config = replace(PLANNERS["tiny"], horizon=2, policy_mode=mode)
    planner = Planner(config, world)
    task = planner.start(world.context(), [GOAL], seed=1)
    many = torch.zeros(500, 1, 7)
    many[-1] = RIGHT[0]
    for _ in range(2):  # the second with a warm start
        task, decision = planner.plan(task, world.context(), many)
        assert decision.status is TaskStatus.RUNNING
    assert mode != "rank" or torch.equal(decision.action, RIGHT[0])
