"""The search that fits quadratics to what it has scored, and scores nothing twice."""

import pytest
import torch

from vjepa_ros.conventions import GRIPPER
from vjepa_ros.planning.limits import ActionLimits
from vjepa_ros.planning.solvers import Quadratic, remembering


def bowl(target):
    """Distance to a target action, in centimetres and quarters of closedness."""
    units = torch.tensor([0.01] * 3 + [0.1] * 3 + [0.25])
    return lambda actions: ((actions - torch.tensor([target])) / units).square().sum((1, 2))


def test_quadratic_finds_the_bottom_of_a_bowl_with_a_few_candidates():
    target = [0.02, -0.03, 0.05, 0, 0, 0, 0.0]
    limits = ActionLimits(held={GRIPPER: 0.0})
    solver = Quadratic(limits=limits, samples=16, elites=2, iterations=3)
    solution = solver.solve(bowl(target))
    torch.testing.assert_close(solution.actions, torch.tensor([target]), rtol=0, atol=1e-4)


def test_no_candidate_is_scored_twice():
    asked = []

    def cost(actions):
        asked.append(len(actions))
        return actions.square().sum((1, 2))

    score, actions = remembering(cost), torch.rand(4, 1, 7)
    found = [score(actions[[0, 1]]), score(actions[[1, 2, 2, 0, 3]]), score(actions[:1])]
    assert asked == [2, 2]
    torch.testing.assert_close(torch.cat(found), cost(actions[[0, 1, 1, 2, 2, 0, 3, 0]]))
    actions.requires_grad_()
    score(actions).sum().backward()
    torch.testing.assert_close(actions.grad, 2 * actions.detach())


def test_quadratic_starts_with_staying():
    solver = Quadratic(samples=8, elites=2, iterations=1, keep_samples=True)
    assert not solver.solve(bowl([0.0] * 7)).statistics.samples[0, 0].any()


def test_quadratic_of_a_saddle_ends_at_the_limits():
    solver = Quadratic(limits=ActionLimits(held={GRIPPER: 0.0}), samples=16, elites=2, iterations=3)
    solution = solver.solve(lambda actions: actions[:, 0, 0].square() - actions[:, 0, 1].square())
    assert abs(float(solution.actions[0, 1])) == pytest.approx(solver.limits.translation.size)
