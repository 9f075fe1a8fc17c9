"""MPC on a world whose only latent token is the tool's position and closedness."""

import pytest
import torch

from point_world import START, PointWorld, context, goal, latents, make_mpc, run
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.planning.mpc import Status, SubGoal
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.solvers import Solution, make_solver
from vjepa_ros.planning.world_model import Context, WorldModel


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_the_last_frame_of_the_context_is_now():
    goals, elsewhere = [goal(*START, energy=0.01)], [0.5, 0.2, 0.3, 0.0]
    for before, now, status in (
        (elsewhere, START, Status.REACHED),
        (START, elsewhere, Status.RUNNING),
    ):
        both = Context(
            latents=torch.stack((latents(before), latents(now))),
            states=torch.zeros(2, 7),
            actions=torch.zeros(1, 7),
        )
        assert make_mpc(PointWorld(), goals).step(both).status is status


# --- ends --------------------------------------------------------------------------------


def test_it_stops_when_the_energy_no_longer_falls():
    world = PointWorld(obeys=0.0)
    mpc = make_mpc(world, [goal(0.6, 0.0, 0.3, energy=0.01)], stall_steps=4)
    decisions = run(world, mpc)
    assert decisions[-1].status is Status.STALLED
    assert len(decisions) == 1 + 4
    assert "4 steps" in decisions[-1].reason


def test_slow_progress_is_no_stall():
    world = PointWorld(obeys=0.2)
    mpc = make_mpc(world, [goal(0.6, 0.0, 0.3, energy=0.005)], stall_steps=2, max_steps=100)
    assert run(world, mpc)[-1].status is Status.REACHED


def test_a_new_goal_starts_a_new_count_towards_a_stall():
    # Far from the second goal, the energy is always above what the first one had.
    world = PointWorld(obeys=0.2)
    goals = [goal(0.42, 0.0, 0.3, steps=3), goal(2.0, 0.0, 0.3, steps=8)]
    decisions = run(world, make_mpc(world, goals, stall_steps=4, min_improvement=0.001))
    assert [decision.goal for decision in decisions] == [0] * 3 + [1] * 9
    assert decisions[-1].status is Status.OUT_OF_STEPS


def test_it_stops_at_max_steps():
    world = PointWorld()
    decisions = run(world, make_mpc(world, [goal(2.0, 0.0, 0.3, energy=0.01)], max_steps=3))
    assert decisions[-1].status is Status.OUT_OF_STEPS
    assert "max_steps, 3" in decisions[-1].reason
    assert sum(decision.action is not None for decision in decisions) == 3


def test_it_stops_when_its_time_is_up():
    world, clock = PointWorld(), Clock()
    mpc = make_mpc(world, [goal(2.0, 0.0, 0.3, energy=0.01)], time_budget=10.0, clock=clock)
    clock.seconds += 1000  # waiting for the first frame costs nothing
    assert mpc.step(world.context()).status is Status.RUNNING
    clock.seconds += 9.9
    assert mpc.step(world.context()).status is Status.RUNNING
    clock.seconds += 0.1
    assert mpc.step(world.context()).status is Status.OUT_OF_TIME


def test_a_reached_goal_counts_even_when_time_and_steps_are_up():
    world, clock = PointWorld(), Clock()
    goals = [goal(0.45, 0.0, 0.3, energy=0.01)]
    mpc = make_mpc(world, goals, max_steps=1, time_budget=1.0, clock=clock)
    world.act(mpc.step(world.context()).action)
    clock.seconds += 5
    assert mpc.step(world.context()).status is Status.REACHED


def test_a_plan_without_finite_energies_ends_the_task_and_says_so():
    class Broken(PointWorld):
        def cost(self, context, goal, objective):
            return lambda actions: torch.full((len(actions),), torch.nan)

    world = Broken()
    end = make_mpc(world, [goal(0.5, 0.0, 0.3, energy=0.01)]).step(world.context())
    assert end.status is Status.PLANNING_FAILED
    assert end.action is None
    assert "each of the 100 candidates" in end.reason


def test_a_plan_of_little_confidence_is_not_executed():
    class Aimless(PointWorld):
        def cost(self, context, goal, objective):
            return lambda actions: actions[:, 0, 0].mul(1e6).sin()

    world, goals = Aimless(), [goal(0.5, 0.0, 0.3, energy=0.01)]
    end = make_mpc(world, goals, min_confidence=0.9).step(world.context())
    assert end.status is Status.PLANNING_FAILED
    assert end.action is None
    assert end.solution.confidence < 0.9
    assert "min_confidence" in end.reason
    sure = make_mpc(PointWorld(), goals, min_confidence=0.9).step(world.context())
    assert sure.status is Status.RUNNING


def test_there_is_no_step_after_the_end():
    world = PointWorld()
    mpc = make_mpc(world, [goal(*START, energy=0.01)])
    mpc.step(world.context())
    with pytest.raises(RuntimeError, match=r"ended \(reached\)"):
        mpc.step(world.context())


# --- what the solver is given ------------------------------------------------------------


def first_samples(solution: Solution):
    return solution.statistics.samples[0]


def test_plans_start_from_the_last_one_shifted_with_its_elites():
    world = PointWorld()
    solver = make_solver("icem", horizon=3, keep_samples=True)
    mpc = make_mpc(world, [goal(0.9, 0.0, 0.3, energy=0.01)], solver=solver, carried_elites=2)
    first, second = mpc.step(world.context()), mpc.step(world.context())
    stay = torch.zeros(1, 7)
    expected = [first.solution.actions, *first.solution.elites[:2]]
    for sample, plan in zip(first_samples(second.solution), expected, strict=False):
        torch.testing.assert_close(sample, torch.cat((plan[1:], stay)))


def test_a_new_goal_does_not_start_from_the_plan_to_the_old_one():
    world = PointWorld()
    solver = make_solver("cem", horizon=2, keep_samples=True)
    goals = [goal(0.9, 0.0, 0.3, steps=1), goal(0.1, 0.0, 0.3, steps=2)]
    mpc = make_mpc(world, goals, solver=solver)
    decisions = [mpc.step(world.context()) for _ in range(2)]
    again = make_solver("cem", horizon=2, keep_samples=True, seed=decisions[1].solution.seed)
    fresh = make_mpc(world, goals[1:], solver=again).step(world.context())
    assert torch.equal(first_samples(decisions[1].solution), first_samples(fresh.solution))


def test_proposals_of_ones_own_are_candidates():
    world = PointWorld()
    solver = make_solver("icem", horizon=2, keep_samples=True)
    mpc = make_mpc(world, [goal(0.9, 0.0, 0.3, energy=0.01)], solver=solver)
    proposals = torch.full((1, 2, 7), 0.0)
    proposals[..., 0] = 0.0123
    for position in (0, 1):  # the second plan has its warm start before them
        solution = mpc.step(world.context(), proposals).solution
        torch.testing.assert_close(first_samples(solution)[position], proposals[0])


# --- with the models themselves ----------------------------------------------------------


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

    solver = make_solver("icem", samples=128, iterations=15)
    goals = [SubGoal(latents=imagined, energy=1e-3)]
    mpc = make_mpc(world_model, goals, solver=solver)
    decision = mpc.step(now)
    assert decision.status is Status.RUNNING
    assert decision.energy == pytest.approx(float(L1().distance(now.latents, imagined)))
    assert decision.solution.energy < 0.01 * decision.energy
    # Untrained, an action token goes through a layer norm with its direction alone.
    assert torch.cosine_similarity(decision.action, action, dim=0) > 0.995

    arrived = Context(latents=imagined[None], states=torch.zeros(1, 7))
    assert mpc.step(arrived).status is Status.REACHED


# --- bad input ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("goals", "message"),
    [
        ([], "goals is empty"),
        ([goal(*START)], "sub-goal 1 of 1 has neither energy nor steps"),
        ([goal(*START, energy=-1.0)], "sub-goal 1 of 1: energy is -1"),
        ([goal(*START, steps=0)], "sub-goal 1 of 1: steps is 0"),
        ([SubGoal(latents=torch.zeros(4), steps=1)], r"sub-goal 1 of 1 has latents of shape \[4\]"),
        ([SubGoal(latents=torch.zeros(0, 4), steps=1)], r"shape \[0, 4\]"),
        (
            [goal(*START, steps=1), SubGoal(latents=torch.zeros(1, 5), steps=1)],
            r"sub-goal 2 of 2 has latents of shape \[1, 5\]",
        ),
        ([SubGoal(latents=torch.full((1, 4), torch.nan), steps=1)], "sub-goal 1 of 1: .* NaN"),
        ([SubGoal(latents=torch.zeros(1, 4, dtype=torch.int64), steps=1)], "integers"),
    ],
)
def test_wrong_goals_are_named(goals, message):
    with pytest.raises(ValueError, match=message):
        make_mpc(PointWorld(), goals)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 0}, "max_steps is 0"),
        ({"stall_steps": 0}, "stall_steps is 0"),
        ({"time_budget": 0.0}, "time_budget is 0 s"),
        ({"min_confidence": 1.0}, "min_confidence is 1"),
        ({"min_improvement": -0.1}, "min_improvement is -0.1"),
        ({"carried_elites": -1}, "carried_elites is -1"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_mpc(PointWorld(), [goal(*START, steps=1)], **options)


def test_latents_that_are_not_finite_are_named():
    mpc = make_mpc(PointWorld(), [goal(*START, steps=1)])
    with pytest.raises(ValueError, match=r"context\.latents holds NaN"):
        mpc.step(context([0.4, torch.nan, 0.3, 0.0]))
