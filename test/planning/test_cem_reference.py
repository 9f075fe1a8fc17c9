"""CEM, and the closed loop around it, against a plain reading of how the reference runs them.

It stands here once more, one sample and one axis at a time, drawing from a generator of the
same seed. The reference looks, searches, carries out the first action of the mean, and looks
again; its search has the options `axis` and `close_gripper`.
"""

from dataclasses import replace

import pytest
import torch

from point_world import PointWorld, latents
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.limits import ActionLimits, Box
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.solvers import CEM
from vjepa_ros.planning.world_model import Goal

AXES = 4  # dx, dy, dz and the gripper; the rotation stays 0


def reference_cem(
    cost,
    *,
    seed,
    horizon,
    samples,
    iterations,
    top,
    max_step,
    momentum,
    gripper_momentum,
    axis=None,
    close_gripper=None,
):
    """The plan [H, 7] and all samples [iterations, N, H, 7]; momenta are (mean, std)."""
    generator = torch.Generator().manual_seed(seed)
    mean = [[0.0] * AXES for _ in range(horizon)]
    std = [[max_step] * 3 + [1.0] for _ in range(horizon)]
    fixed = axis or {}
    for h in range(horizon):
        for ax, value in fixed.items():
            mean[h][ax] = value
    history = []

    for _ in range(iterations):
        noise = [torch.randn(samples, AXES, generator=generator) for _ in range(horizon)]
        population = []
        for n in range(samples):
            plan = []
            for h in range(horizon):
                action = []
                for a in range(AXES):
                    value = mean[h][a] + std[h][a] * float(noise[h][n, a])
                    bound = max_step if a < 3 else 0.75
                    action.append(fixed.get(a, max(-bound, min(bound, value))))
                if close_gripper is not None and h >= close_gripper:
                    action[3] = 1.0
                plan.append(action)
            population.append(plan)
        history.append(as_actions(population))

        energies = cost(as_actions(population)).tolist()
        elites = sorted(range(samples), key=lambda n: energies[n])[:top]
        for h in range(horizon):
            for a in range(AXES):
                values = [population[n][h][a] for n in elites]
                elite_mean = sum(values) / top
                squares = sum((value - elite_mean) ** 2 for value in values)
                elite_std = (squares / (top - 1)) ** 0.5  # unbiased
                old_mean, old_std = momentum if a < 3 else gripper_momentum
                mean[h][a] = (1 - old_mean) * elite_mean + old_mean * mean[h][a]
                std[h][a] = (1 - old_std) * elite_std + old_std * std[h][a]

    for h in range(horizon):
        if abs(mean[h][3]) < 0.25:
            mean[h][3] = 0.0
    return as_actions([mean])[0], torch.stack(history)


def as_actions(plans):
    """Plans of 4 numbers a step to actions [N, H, 7]."""
    plans = torch.tensor(plans)
    actions = torch.zeros(*plans.shape[:2], 7)
    actions[..., :3], actions[..., 6] = plans[..., :3], plans[..., 3]
    return actions


def bent_cost(target):
    """Smooth, not separable, and different at each step of the horizon."""
    target = torch.tensor(target)

    def cost(actions):
        error = actions - target
        steps = torch.arange(1.0, actions.shape[1] + 1)
        coupled = (error[..., 0] * 8 + error[..., 6] * error[..., 1] * 20).abs()
        return ((error.square().sum(-1) + coupled) * steps).sum(-1)

    return cost


@pytest.mark.parametrize("gripper", [0.6, 0.1], ids=["closing", "dead zone"])
@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_the_same_seed_gives_the_reference_numbers(horizon, gripper):
    cost = bent_cost([0.03, -0.09, 0.05, 0, 0, 0, gripper])
    plan, samples = reference_cem(
        cost,
        seed=7,
        horizon=horizon,
        samples=48,
        iterations=6,
        top=5,
        max_step=0.06,
        momentum=(0.25, 0.4),
        gripper_momentum=(0.1, 0.3),
    )
    solution = CEM(
        horizon=horizon,
        samples=48,
        iterations=6,
        elites=5,
        limits=ActionLimits(translation=Box(0.06)),
        momentum_mean=0.25,
        momentum_std=0.4,
        momentum_mean_gripper=0.1,
        momentum_std_gripper=0.3,
        keep_samples=True,
    ).solve(cost, seed=7)

    torch.testing.assert_close(solution.statistics.samples, samples, rtol=0, atol=1e-6)
    torch.testing.assert_close(solution.actions, plan, rtol=0, atol=1e-6)
    assert solution.energy == pytest.approx(float(cost(plan[None])), rel=1e-4)
    if gripper == 0.1:
        assert (solution.actions[:, 6] == 0).any()
    else:
        assert (solution.actions[:, 6] != 0).any()


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        ({"horizon": 2}, {}),
        ({"axis": "z=0, x=0.02"}, {"axis": {2: 0.0, 0: 0.02}}),
        ({"close_gripper": 0}, {"close_gripper": 0}),
        ({"horizon": 3, "close_gripper": 1}, {"close_gripper": 1}),
    ],
    ids=["paper", "horizon 2", "axis", "close_gripper 0", "close_gripper 1"],
)
def test_the_closed_loop_gives_the_reference_numbers(settings, options):
    """Planned is carried out, the gripper included, over several steps."""
    goal = Goal(latents=latents([0.62, -0.11, 0.12, 0.8]))
    config = replace(PLANNERS["paper"], samples=60, iterations=5, elites=6, **settings)
    ours, theirs = PointWorld(obeys=0.8), PointWorld(obeys=0.8)
    planner = Planner(config, ours)
    task = planner.start(ours.context(), [goal], seed=11)
    for step in range(4):
        task, decision = planner.plan(task, ours.context())
        expected, _ = reference_cem(
            theirs.cost(theirs.context(), goal, L1()),
            seed=11 + step,
            horizon=config.horizon,
            samples=60,
            iterations=5,
            top=6,
            max_step=0.075,
            momentum=(0.15, 0.15),
            gripper_momentum=(0.15, 0.15),
            **options,
        )
        torch.testing.assert_close(decision.solution.actions, expected, rtol=0, atol=1e-6)
        ours.act(decision.action)
        theirs.act(expected[0])
    assert abs(float(ours.position[3])) > 0.2  # the fingers move, too
