"""Plans in terms that people look at."""

import pytest
import torch

from vjepa_ros.conventions import apply_action
from vjepa_ros.planning.solvers import Solution, Statistics
from vjepa_ros.planning.summary import path_length, search_curve, states_along

STATE = torch.tensor([0.5, 0.0, 0.3, 3.1, 0.0, 0.2, 0.1])


def test_states_along_candidates_are_actions_applied_in_turn():
    torch.manual_seed(0)
    actions = 0.1 * torch.randn(5, 3, 7)
    states = states_along(STATE, actions)
    assert states.shape == (5, 3, 7)
    expected = STATE
    for step in range(3):
        expected = apply_action(expected, actions[2, step])
        torch.testing.assert_close(states[2, step], expected)


def test_path_length_adds_up_what_the_tool_travelled():
    there_and_back = torch.stack((STATE, STATE + 0.0, STATE, STATE))
    there_and_back[1, :3] += torch.tensor([0.03, 0.0, 0.04])
    assert path_length(there_and_back) == pytest.approx(0.1)
    assert path_length(STATE[None]) == 0


def test_search_curve_leaves_dropped_and_missing_candidates_out():
    inf, nan = torch.inf, torch.nan
    energies = torch.tensor([[4.0, 1.0, inf, 2.0], [3.0, 1.0, 0.5, nan]])
    solution = Solution(
        actions=torch.zeros(1, 7),
        energy=0.5,
        confidence=1.0,
        elites=torch.zeros(2, 1, 7),
        dropped=1,
        seed=0,
        statistics=Statistics(
            energies=energies,
            elite_mean=torch.zeros(2, 1, 7),
            elite_std=torch.zeros(2, 1, 7),
            samples=None,
        ),
    )
    curve = search_curve(solution)
    torch.testing.assert_close(curve.best, torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(curve.elites, torch.tensor([1.5, 0.75]))
    torch.testing.assert_close(curve.mean, torch.tensor([7 / 3, 1.5]))
