"""Measured poses: where the tool was at a time between two measurements."""

import math

import numpy as np
import pytest

from vjepa_gate.pose import Pose, PoseHistory
from vjepa_gate.rotations import between

DOWN = (1.0, 0.0, 0.0, 0.0)


def test_a_pose_and_the_state_of_the_conventions_are_one(make_pose):
    pose = make_pose(0.4, -0.2, 0.3, math.pi - 0.2, 0.1, 0.5)
    state = pose.state(0.25)
    assert state.tolist() == pytest.approx([0.4, -0.2, 0.3, math.pi - 0.2, 0.1, 0.5, 0.25])
    back = Pose.of_state(state)
    assert np.linalg.norm(between(back.rotation, pose.rotation)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("position", "quaternion"),
    [((3.1, 0, 0), DOWN), ((0, 0, -400), DOWN),
     ((math.nan, 0, 0), DOWN), ((0, math.inf, 0), DOWN), ((0, 0, 0), (0.0, 0.0, 0.0, 0.0)),
     ((0, 0, 0), (math.nan, 0.0, 0.0, 1.0)), ((0, 0, 0), (1.0, 1.0, 0.0, 0.0))],
)  # fmt: skip
def test_numbers_that_are_no_pose(position, quaternion):
    with pytest.raises(ValueError, match=r"quaternion|position"):
        Pose.of(position, quaternion)


@pytest.fixture
def history(make_pose):
    history = PoseHistory(seconds=1.0)
    for tick in range(5):
        history.add(10 + 0.1 * tick, make_pose(y=0.1 * tick, yaw=0.2 * tick))
    return history


def test_between_two_poses_it_is_interpolated(history, make_pose):
    pose, expected = history.at(10.23, 0.2), make_pose(y=0.23, yaw=0.46)
    assert pose.position == pytest.approx(expected.position)
    assert np.linalg.norm(between(pose.rotation, expected.rotation)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("stamp", "y"), [(10.4, 0.4), (10.5, 0.4), (9.9, 0.0)])
def test_near_its_ends_the_nearest_counts(history, stamp, y):
    assert history.at(stamp, 0.2).position[1] == pytest.approx(y)


@pytest.mark.parametrize("stamp", [9.7, 10.7, 0.0])
def test_beyond_the_tolerance_nothing_is_known(history, stamp):
    assert history.at(stamp, 0.2) is None


def test_over_a_gap_nothing_is_made_up(history, make_pose):
    history.add(11.4, make_pose(y=1.0))
    assert history.at(10.9, 0.2) is None
    assert history.at(11.35, 0.2).position[1] == 1.0


def test_old_poses_are_forgotten_and_memory_stays_bounded(make_pose):
    history, pose = PoseHistory(seconds=1.0), make_pose()
    for tick in range(10_000):
        history.add(0.01 * tick, pose)
    assert history.at(98.0, 0.1) is None or history.at(97.0, 0.1) is None
    assert len(history._stamps) <= 202


def test_a_clock_that_was_set_back_starts_anew(history, make_pose):
    history.add(2.0, make_pose(y=0.7))
    assert history.at(2.0, 0.1).position[1] == 0.7
    history.add(1.9, make_pose(y=-0.7))  # late, not set back
    assert history.newest().position[1] == 0.7
