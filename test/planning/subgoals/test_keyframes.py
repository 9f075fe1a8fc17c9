"""Key frames are found where fingers move and arms stop, without labels."""

from itertools import pairwise

import numpy as np
import pytest

from vjepa_ros.planning.subgoals.keyframes import finger_moves, key_steps


def recording(*poses: tuple[float, float, float, float], strides: int = 3) -> np.ndarray:
    """States [T, 7] from pose to pose (x, y, z, closedness), standing still a step at each."""
    ways = [np.array(poses[0])]
    for before, after in pairwise(poses):
        shares = np.linspace(0, 1, strides + 1)[1:, None]
        ways += [*(np.array(before) + shares * (np.array(after) - np.array(before))), after]
    states = np.zeros((len(ways), 7))
    states[:, [0, 1, 2, 6]] = np.array(ways)
    return states


ABOVE, AROUND, SHUT, UP = (
    (0.5, 0, 0.17, 0),
    (0.5, 0, 0.02, 0),
    (0.5, 0, 0.02, 0.5),
    (0.5, 0, 0.17, 0.5),
)
THERE, DOWN = (0.5, 0.2, 0.17, 0.5), (0.5, 0.2, 0.02, 0.5)
OPEN, AWAY = (0.5, 0.2, 0.02, 0.2), (0.5, 0.2, 0.17, 0.2)
START = (0.4, -0.1, 0.3, 0)


def test_a_pick_and_place_has_eight():
    way = [START, ABOVE, AROUND, SHUT, UP, THERE, DOWN, OPEN, AWAY]
    states = recording(*way)
    found = states[key_steps(states)][:, [0, 1, 2, 6]]
    assert found == pytest.approx(np.array(way[1:]))


def test_a_grasp_has_four():
    way = [START, ABOVE, AROUND, SHUT, UP]
    states = recording(*way)
    assert states[key_steps(states)][:, [0, 1, 2, 6]] == pytest.approx(np.array(way[1:]))


def test_a_reach_has_none():
    assert len(key_steps(recording(START, ABOVE, AROUND))) == 0


def test_whoever_does_not_stop_before_is_taken_where_they_passed():
    states = recording(START, AROUND, SHUT, UP, strides=6)
    before, begin, *_ = key_steps(states)
    assert 0 < before < begin
    assert np.linalg.norm(states[before, :3] - states[begin, :3]) > 0.05


def test_fingers_that_tremble_do_not_move():
    states = recording(START, ABOVE)
    states[:, 6] += 0.05 * (np.arange(len(states)) % 2)
    assert finger_moves(states) == []
