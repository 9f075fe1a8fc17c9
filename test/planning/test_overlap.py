"""The next step is planned while the arm makes the last, and corrected by what is seen."""

from dataclasses import replace

import pytest
import torch

from point_world import START, PointWorld, context, goal, latents, make_task, run
from vjepa_ros.conventions import POSITION, apply_action
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.overlap import CORRECTED
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.task import TaskStatus

TINY = replace(PLANNERS["tiny"], overlap=True)


class CountingWorld(PointWorld):
    """Knows how many candidates it was asked about, at which frames."""

    def __init__(self, obeys=1.0):
        super().__init__(obeys)
        self.asked, self.candidates = {}, []

    def cost(self, context, goal, objective):
        score = super().cost(context, goal, objective)

        def energies(actions):
            self.asked[context.name] = self.asked.get(context.name, 0) + len(actions)
            self.candidates += map(str, actions.tolist())
            return score(actions)

        return energies


def far(**ends):
    return make_task([goal(0.6, 0.0, 0.3, **ends)], near=0.001)


def begun(world, planner, task):
    """After one step: the task, and the frame that the arm is seen in."""
    task, decision = planner.plan(task, world.context())
    world.act(decision.action)
    return task, world.context()


def is_corrected(decision):
    assert decision.ahead == decision.reason.endswith(CORRECTED)
    return decision.ahead


@pytest.mark.parametrize("config", [TINY, replace(PLANNERS["notebook"], overlap=True)])
def test_what_is_decided_does_not_depend_on_when_it_was_planned(config):
    """So a replay, which has no time to use, decides as the node did."""
    world = PointWorld()
    planner = Planner(config, world)
    task, seen = begun(world, planner, far())
    early = planner.ahead(task)
    assert task.ahead is None
    assert planner.ahead(early) is early
    decisions = [planner.plan(one, seen)[1] for one in (early, task, early)]
    for decision in decisions[1:]:
        assert torch.equal(decision.action, decisions[0].action)
        assert decision.solution.energy == decisions[0].solution.energy
    assert is_corrected(decisions[0])


def test_a_plan_ahead_of_another_length_is_dropped():
    """Its goal had one step left, and is tried anew: a search ahead of one step is none of two."""
    world = PointWorld()
    planner = Planner(replace(PLANNERS["notebook"], overlap=True), world)
    task, seen = begun(world, planner, far(steps=2))
    task = planner.ahead(task)
    assert len(task.ahead.decision.solution.actions) == 1
    anew = replace(task, pursuit=replace(task.pursuit, steps=0))
    _, decision = planner.plan(anew, seen)
    assert not is_corrected(decision)
    assert len(decision.solution.actions) == 2


def test_the_frame_that_is_seen_is_asked_about_a_few_candidates_alone():
    world = CountingWorld()
    planner = Planner(TINY, world)
    task, seen = begun(world, planner, far())
    task = planner.ahead(task)
    world.asked.clear()
    world.candidates.clear()
    planner.plan(task, replace(seen, name="seen"))
    fingers = 8
    assert list(world.asked) == ["seen"]
    assert fingers < world.asked["seen"] <= fingers + TINY.overlap_samples + 1
    assert len(set(world.candidates)) == world.asked["seen"]  # none twice


def test_it_arrives_as_it_does_without():
    ends = {}
    for overlap in (False, True):
        world = PointWorld()
        decisions = run(world, Planner(replace(TINY, overlap=overlap), world), far(energy=0.002))
        assert decisions[-1].status is TaskStatus.REACHED
        ends[overlap] = len(decisions)
        assert sum(map(is_corrected, decisions)) >= overlap * (len(decisions) - 3)
    assert ends[True] <= ends[False] + 2


def test_an_arm_that_is_late_ends_where_it_should_all_the_same():
    """Seen half-way through its step, it is sent on to where the next one was to end."""
    world = PointWorld(obeys=0.5)
    planner = Planner(replace(TINY, max_step=0.075, overlap_slack=10), world)
    task, seen = begun(world, planner, make_task([goal(0.48, 0.02, 0.3)], near=0.001))
    task = planner.ahead(task)
    _, decision = planner.plan(task, seen)
    assert is_corrected(decision)
    wanted = apply_action(task.ahead.context.states[-1], task.ahead.decision.action)
    reached = apply_action(seen.states[-1], decision.action)
    torch.testing.assert_close(reached[POSITION], wanted[POSITION], atol=0.006, rtol=0)


def test_an_arm_that_lags_is_sent_on_as_was_planned_ahead():
    """It is never as near as it was imagined, and gains as much."""
    world = PointWorld(obeys=0.7)
    planner = Planner(replace(TINY, max_step=0.05), world)
    task, seen = begun(world, planner, make_task([goal(0.6, 0.0, 0.3)], near=0.001))
    for _ in range(3):
        task, decision = planner.plan(task, seen)
        assert is_corrected(decision)
        world.act(decision.action)
        seen = world.context()


def test_a_frame_that_departs_from_what_was_imagined_is_planned_from_anew():
    """Somebody has pushed the arm far back."""
    world, pushed = PointWorld(), context([0.2, 0.3, 0.3, 0.0])
    task, _ = begun(world, planner := Planner(TINY, world), far())
    _, decision = planner.plan(task, pushed)
    assert not is_corrected(decision)
    nothing_ahead = replace(task, seen=None)
    assert torch.equal(decision.action, planner.plan(nothing_ahead, pushed)[1].action)


def test_a_plan_ahead_to_another_goal_is_dropped():
    """The arm was imagined at the first goal, and is not there."""
    world = PointWorld(obeys=0.0)
    planner = Planner(TINY, world)
    goals = [goal(0.45, 0.0, 0.3, energy=0.01), goal(0.3, 0.2, 0.3)]
    task, seen = begun(world, planner, make_task(goals, near=0.001))
    task = planner.ahead(task)
    assert task.ahead.decision.goal == 1
    _, decision = planner.plan(task, seen)
    assert (decision.goal, is_corrected(decision)) == (0, False)


def test_an_end_that_was_imagined_is_none():
    world = PointWorld(obeys=0.0)
    planner = Planner(TINY, world)
    task, seen = begun(world, planner, make_task([goal(0.45, 0.0, 0.3, energy=0.01)], near=0.001))
    task = planner.ahead(task)
    assert task.ahead.decision.status is TaskStatus.REACHED
    assert planner.plan(task, seen)[1].status is TaskStatus.RUNNING


def test_a_task_that_has_ended_is_not_planned_ahead():
    world = CountingWorld()
    planner = Planner(TINY, world)
    task, _ = planner.plan(make_task([goal(*START, energy=0.01)]), world.context())
    world.asked.clear()
    assert planner.ahead(task) is task
    assert not world.asked


def test_proposals_join_the_correction():
    """What a policy proposes for the frame that is seen is a candidate, however few there are."""
    world = PointWorld()
    planner = Planner(replace(TINY, overlap_slack=10.0), world)
    task, seen = begun(world, planner, far())
    best = torch.zeros(1, 1, 7)
    best[..., 0] = 0.0625
    found = planner.plan(task, seen, best.expand(40, 1, 7))[1].solution
    assert any(torch.equal(one, best[0]) for one in planner_samples(planner, task, seen, best))
    assert found.energy <= float(world.cost(seen, task.goal, planner.objective)(best)) * 1.5


def planner_samples(planner, task, seen, proposals):
    keeping = Planner(planner.config, planner.world_model, keep_samples=True)
    found = keeping.plan(task, seen, proposals)[1].solution
    return found.statistics.samples[0]


def test_latents_are_imagined_from_the_frame_that_was_acted_on():
    world = PointWorld()
    planner = Planner(TINY, world)
    task, _ = begun(world, planner, far())
    imagined = planner.ahead(task).ahead.context
    torch.testing.assert_close(imagined.latents[0], latents(world.position.tolist()))
    assert imagined.name == "after now"
