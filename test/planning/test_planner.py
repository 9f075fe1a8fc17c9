"""What the planner decides, in a world whose only token is the tool's position and closedness."""

from dataclasses import replace

import pytest
import torch

from point_world import START, PointWorld, context, goal, latents, make_planner, make_task, run
from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.planning.config import PLANNERS, PUBLISHED
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.solvers import Solution
from vjepa_ros.planning.task import TaskStatus
from vjepa_ros.planning.world_model import Context, Goal, WorldModel

FAR = Goal(latents=latents([0.9, 0.0, 0.1, 0.7]), name="far")


# --- what is decided is what is carried out ------------------------------------------------


@pytest.mark.parametrize("name", ["paper", "notebook", "jepa_wms", "plain"])
def test_a_published_planner_carries_out_what_its_search_found(name):
    """Fast, sideways, downwards and closing at once: no hand rule touches it."""
    world = PointWorld()
    planner = Planner(PLANNERS[name], world)
    assert planner.config.rules == ()
    task = planner.start(world.context(), [FAR], seed=3)
    _, decision = planner.plan(task, world.context())
    cost = world.cost(world.context(), FAR, planner.objective)
    found = planner._solver.solve(cost, seed=3)
    assert torch.equal(decision.solution.actions, found.actions)
    x, _, z = decision.solution.actions.sum(0)[POSITION].tolist()
    assert x > 0.03
    assert z < -0.03
    assert decision.solution.actions[:, GRIPPER].sum() > 0.3


@pytest.mark.parametrize("seed", range(4))
def test_the_energy_of_a_decision_is_that_of_its_very_actions(seed):
    """With hand rules, too, which here cut the way down and open nothing."""
    world = PointWorld()
    planner = Planner(PLANNERS["tiny"], world)
    task = planner.start(world.context(), [FAR], seed=seed)
    after, decision = planner.plan(task, world.context())
    score = world.cost(world.context(), FAR, planner.objective)
    solution = decision.solution
    assert solution.energy == pytest.approx(float(score(solution.actions[None])), rel=1e-5)
    assert torch.equal(decision.action, solution.actions[0])
    assert float(solution.actions[0, 2]) >= 0.0  # a step so far sideways does not go down
    assert after.pursuit.stride == pytest.approx(float(decision.action[POSITION].norm()))
    assert after.pursuit.last is solution


def test_a_plan_that_is_thrown_away_was_never_made():
    """The same task and frame give the same decision, whatever was planned from it before."""
    world = PointWorld()
    planner = Planner(PLANNERS["tiny"], world)
    goals = [Goal(latents=latents([0.4, 0.0, 0.3, closed])) for closed in (0.0, 0.5, 0.5)]
    task = planner.start(world.context(), goals)
    for closed in (0.0, 0.3, 0.5):  # late images: their plans are thrown away
        planner.plan(task, context([0.41, 0.0, 0.3, closed]))
    fresh = Planner(PLANNERS["tiny"], world)
    kept, decision = planner.plan(task, world.context())
    again, expected = fresh.plan(fresh.start(world.context(), goals), world.context())
    assert decision.status is expected.status is TaskStatus.RUNNING
    assert torch.equal(decision.action, expected.action)
    assert decision.solution.seed == expected.solution.seed
    assert kept.seed == again.seed == task.seed + 1


# --- goals and their ends ------------------------------------------------------------------


def test_published_goals_end_by_the_papers_steps():
    """4, 10 and 4 for three pictures; the gripper is searched all the while."""
    world = PointWorld(obeys=0.0)
    planner = make_planner(world)
    goals = [Goal(latents=latents([x, 0.0, 0.3, 0.7])) for x in (0.6, 0.7, 0.8)]
    decisions = run(world, planner, planner.start(world.context(), goals))
    assert [decision.goal for decision in decisions] == [0] * 4 + [1] * 10 + [2] * 5
    assert decisions[-1].status is TaskStatus.OUT_OF_STEPS
    assert all(decision.action[GRIPPER] > 0.3 for decision in decisions[:-1])


@pytest.mark.parametrize(("pictures", "steps"), [(1, (10,)), (3, (4, 10, 4)), (4, (10,) * 4)])
def test_the_most_steps_are_for_any_other_number_of_pictures(pictures, steps):
    assert PLANNERS["paper"].steps_of(pictures) == steps


class Biased(PointWorld):
    """As Meta's predictor: what it predicts is off by a floor, wherever the arm goes."""

    FLOOR = 0.43

    def cost(self, context, goal, objective):
        score = super().cost(context, goal, objective)
        return lambda actions: self.FLOOR + 0.6 * score(actions)


@pytest.mark.parametrize("name", [*PUBLISHED, "plain"])
@pytest.mark.parametrize("metres", [0.02, 0.05, 0.1])
def test_no_goal_is_reached_before_the_arm_moves_for_a_model_with_an_error_floor(name, metres):
    """The energy of a predicted frame is no threshold for that of a seen one."""
    world = Biased()
    planner = make_planner(world, **vars(PLANNERS[name]) | {"samples": 40, "iterations": 4})
    there = Goal(latents=latents([0.4 + metres, 0.0, 0.3, 0.7]))
    _, decision = planner.plan(planner.start(world.context(), [there]), world.context())
    assert decision.status is TaskStatus.RUNNING
    assert decision.action[POSITION].any()


class Unasked(PointWorld):
    """Has nothing to say while a task begins."""

    def cost(self, context, goal, objective):
        raise AssertionError("an end must not come from what is predicted")


@pytest.mark.parametrize("name", [*PUBLISHED, "plain"])
def test_goals_end_by_steps_or_by_what_is_seen_and_by_no_prediction(name):
    world = Unasked()
    task = Planner(PLANNERS[name], world).start(world.context(), [FAR, FAR])
    ends = {(one.energy, one.steps, one.patience) for one in task.sub_goals}
    assert ends == {(None, max(PLANNERS[name].goal_steps), PLANNERS[name].patience)}
    assert task.near == 0


# Of eight steps ahead the last frame alone is scored: any way there is as good, also a slow one.
@pytest.mark.parametrize(("name", "metres"), [("paper", 0.02), ("vjepa2_1", 0.05), ("plain", 0.02)])
def test_with_an_error_floor_the_arm_arrives_and_the_fingers_close(name, metres):
    world = Biased()
    planner = Planner(PLANNERS[name], world)
    there = Goal(latents=latents([0.5, 0.06, 0.2, 0.7]))
    run(world, planner, planner.start(world.context(), [there]))
    assert (world.position[:3] - there.latents[0, :3]).abs().max() < metres
    assert abs(world.position[3] - 0.7) < 0.15


def test_a_plateau_of_what_is_seen_ends_a_goal():
    world = Biased(obeys=0.0)
    planner = make_planner(world, goal_steps=(50,), patience=3)
    decisions = run(world, planner, planner.start(world.context(), [FAR]))
    assert decisions[-1].status is TaskStatus.STALLED
    assert len(decisions) == 1 + 3


def test_a_goal_that_the_user_limits_has_all_steps_and_the_energy_given():
    world = PointWorld()
    planner = make_planner(world)
    task = planner.start(world.context(), [FAR, FAR], max_steps=30, energy=0.02)
    assert [one.energy for one in task.sub_goals] == [0.02, 0.02]
    assert [one.steps for one in task.sub_goals] == [10, None]
    assert task.max_steps == 30


def test_a_sub_goal_asks_for_less_than_it_differs_from_the_one_before():
    world = PointWorld()
    planner = Planner(replace(PLANNERS["tiny"], tolerance=0.012, goal_steps=(7,)), world)
    goals = [Goal(latents=latents([x, 0, 0.3, 0])) for x in (0.5, 0.8, 0.806)]
    task = planner.start(world.context(), goals, seed=3)
    expected = [0.012 / 4, 0.012 / 4, 0.5 * 0.006 / 4]  # four numbers, one of which differs
    assert [one.energy for one in task.sub_goals] == pytest.approx(expected, rel=1e-3)
    assert [one.steps for one in task.sub_goals] == [7, 7, 7]
    assert task.max_steps == 42  # each may be tried again
    assert task.seed == 3


def test_an_endless_task_plans_at_the_goal_itself():
    world = PointWorld()
    planner = Planner(PLANNERS["tiny"], world)
    here = Goal(latents=world.context().latents[0])
    task = planner.start(world.context(), [here])
    assert planner.plan(task, world.context())[1].status is TaskStatus.REACHED
    _, decision = planner.plan(task.endless(), world.context())
    assert not decision.action[POSITION].any()  # no plan is better than staying


def test_it_stops_at_max_steps():
    world = PointWorld()
    task = make_task([goal(2.0, 0.0, 0.3, energy=0.01)], max_steps=3)
    decisions = run(world, make_planner(world), task)
    assert decisions[-1].status is TaskStatus.OUT_OF_STEPS
    assert "max_steps, 3" in decisions[-1].reason
    assert sum(decision.action is not None for decision in decisions) == 3


def test_a_reached_goal_counts_even_when_the_steps_are_up():
    world = PointWorld()
    planner, task = make_planner(world), make_task([goal(0.45, 0, 0.3, energy=0.01)], max_steps=1)
    task, decision = planner.plan(task, world.context())
    world.act(decision.action)
    assert planner.plan(task, world.context())[1].status is TaskStatus.REACHED


def test_a_plan_without_finite_energies_ends_the_task_and_says_so():
    class Broken(PointWorld):
        def cost(self, context, goal, objective):
            return lambda actions: torch.full((len(actions),), torch.nan)

    world = Broken()
    task, end = make_planner(world).plan(make_task([goal(0.5, 0, 0.3, steps=1)]), world.context())
    assert end.status is task.end is TaskStatus.PLANNING_FAILED
    assert end.action is None
    assert "each of the 100 candidates" in end.reason


def test_there_is_no_step_after_the_end():
    world = PointWorld()
    planner = make_planner(world)
    task, _ = planner.plan(make_task([goal(*START, energy=0.01)]), world.context())
    with pytest.raises(RuntimeError, match=r"ended \(reached\)"):
        planner.plan(task, world.context())


def test_the_last_frame_of_the_context_is_now():
    task, elsewhere = make_task([goal(*START, energy=0.01)]), [0.5, 0.2, 0.3, 0.0]
    for before, now, status in (
        (elsewhere, START, TaskStatus.REACHED),
        (START, elsewhere, TaskStatus.RUNNING),
    ):
        both = Context(
            latents=torch.stack((latents(before), latents(now))),
            states=torch.zeros(2, 7),
            actions=torch.zeros(1, 7),
        )
        assert make_planner(PointWorld()).plan(task, both)[1].status is status


# --- what the solver is given --------------------------------------------------------------


def first_samples(solution: Solution):
    return solution.statistics.samples[0]


def test_a_warm_start_is_the_last_plan_shifted_with_its_elites():
    world = PointWorld()
    planner = make_planner(world, solver="icem", horizon=3, rules=("warm_start",))
    task, first = planner.plan(make_task([goal(0.9, 0.0, 0.3)]), world.context())
    _, second = planner.plan(task, world.context())
    stay = torch.zeros(1, 7)
    expected = [first.solution.actions, *first.solution.elites[:3]]
    for sample, plan in zip(first_samples(second.solution), expected, strict=False):
        torch.testing.assert_close(sample, torch.cat((plan[1:], stay)))


def test_a_new_goal_does_not_start_from_the_plan_to_the_old_one():
    world = PointWorld()
    planner = make_planner(world, horizon=2, rules=("warm_start",))
    goals = [goal(0.9, 0.0, 0.3, steps=1), goal(0.1, 0.0, 0.3, steps=2)]
    task, _ = planner.plan(make_task(goals), world.context())
    _, second = planner.plan(task, world.context())
    _, fresh = planner.plan(make_task(goals[1:], seed=1), world.context())
    assert torch.equal(first_samples(second.solution), first_samples(fresh.solution))


def test_proposals_of_ones_own_are_candidates():
    world = PointWorld()
    planner = make_planner(world, solver="icem", horizon=2, rules=("warm_start",))
    task = make_task([goal(0.9, 0.0, 0.3)])
    proposals = torch.zeros(1, 2, 7)
    proposals[..., 0] = 0.0123
    for position in (0, 1):  # the second plan has its warm start before them
        task, decision = planner.plan(task, world.context(), proposals)
        torch.testing.assert_close(first_samples(decision.solution)[position], proposals[0])


# --- how far it looks ahead ----------------------------------------------------------------


def test_a_plan_goes_no_further_than_its_goal_has_steps_left():
    world = PointWorld()
    planner = make_planner(world, solver="icem", horizon=3, rules=("warm_start",))
    goals = [goal(0.9, 0.0, 0.3, steps=4), goal(0.1, 0.0, 0.3)]
    decisions = run(world, planner, make_task(goals, max_steps=6))
    lengths = [len(one.solution.actions) for one in decisions if one.solution is not None]
    assert lengths == [3, 3, 2, 1, 2, 1]


def test_a_far_horizon_arrives_with_the_last_step():
    """Planned eight steps ahead each time, an eighth of the way was made, and then of what was
    left: after ten steps a quarter of it was.
    """
    world = PointWorld()
    planner = make_planner(world, **{**vars(PLANNERS["vjepa2_1"]), "samples": 100})
    run(world, planner, make_task([goal(0.6, 0.15, 0.2, steps=10)], max_steps=10))
    assert float((world.position - torch.tensor([0.6, 0.15, 0.2, 0.0]))[POSITION].norm()) < 0.02


# --- with the models themselves ------------------------------------------------------------


def test_it_plans_through_the_world_model():
    # The goal is what the model imagines after an action: the plan must lead there.
    torch.manual_seed(0)
    config = PredictorConfig(latent_width=16, grid=2, width=32, depth=2, heads=2)
    predictor = Predictor(config).eval().requires_grad_(False)
    torch.nn.init.normal_(predictor.action_encoder.weight, std=5.0)
    world_model = WorldModel(None, predictor, dtype=torch.float32)
    now = Context(latents=torch.randn(1, 4, 16), states=torch.zeros(1, 7))
    action = torch.tensor([0.05, -0.03, 0.02, 0, 0, 0, 0.5])
    imagined = world_model.rollout(now, action[None, None])[0, 0]

    planner = make_planner(world_model, solver="icem", samples=128, iterations=15)
    task = planner.start(now, [Goal(latents=imagined)], energy=1e-3)
    task, decision = planner.plan(task, now)
    assert decision.status is TaskStatus.RUNNING
    assert decision.energy == pytest.approx(float(L1().distance(now.latents, imagined)))
    assert decision.solution.energy < 0.01 * decision.energy
    # Untrained, an action token goes through a layer norm with its direction alone.
    assert torch.cosine_similarity(decision.action, action, dim=0) > 0.995

    arrived = Context(latents=imagined[None], states=torch.zeros(1, 7))
    assert planner.plan(task, arrived)[1].status is TaskStatus.REACHED


# --- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("goals", "message"),
    [
        ([], "goals is empty"),
        ([torch.zeros(4)], r"goal 1 of 1 has latents of shape \[4\]"),
        ([torch.zeros(0, 4)], r"shape \[0, 4\]"),
        ([torch.zeros(1, 4), torch.zeros(1, 5)], r"goal 2 of 2 has latents of shape \[1, 5\]"),
        ([torch.full((1, 4), torch.nan)], "goal 1 of 1: .* NaN"),
        ([torch.zeros(1, 4, dtype=torch.int64)], "integers"),
    ],
)
def test_wrong_goals_are_named(goals, message):
    world = PointWorld()
    with pytest.raises(ValueError, match=message):
        make_planner(world).start(world.context(), [Goal(latents=one) for one in goals])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 0}, "max_steps is 0"),
        ({"energy": -1.0}, "energy_threshold is -1"),
        ({"energy": float("nan")}, "energy_threshold is nan"),
    ],
)
def test_wrong_options_are_named(options, message):
    world = PointWorld()
    with pytest.raises(ValueError, match=message):
        make_planner(world).start(world.context(), [FAR], **options)


def test_latents_that_are_not_finite_are_named():
    planner = make_planner(PointWorld())
    with pytest.raises(ValueError, match=r"context\.latents holds NaN"):
        planner.plan(make_task([goal(*START, steps=1)]), context([0.4, torch.nan, 0.3, 0.0]))
