"""What an action may ask for, one test a limit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vjepa_gate.conventions import ACTION_NAMES, ROTATION
from vjepa_gate.limits import confine, limit_action, tilt
from vjepa_gate.rotations import between, z_axis


def action(**values):
    return np.array([values.get(name, 0.0) for name in ACTION_NAMES])


def test_an_allowed_action_is_left_as_it_is(limits):
    asked = action(dx=0.05, dy=-0.03, dyaw=0.2, droll=-0.1, dclosedness=0.7)
    np.testing.assert_allclose(limit_action(asked, limits), asked, atol=1e-12)


def test_step(limits):
    limited = limit_action(action(dx=0.3, dy=-0.4), limits)
    expected = limits.max_step * np.array((0.6, -0.8, 0.0))
    np.testing.assert_allclose(limited[:3], expected)


def test_turn_is_measured_as_an_angle_about_one_axis(limits):
    asked = action(droll=0.9, dpitch=-0.6, dyaw=1.2)
    turns = [
        Rotation.from_euler("xyz", one[ROTATION]).as_rotvec()
        for one in (asked, limit_action(asked, limits))
    ]
    assert np.linalg.norm(turns[1]) == pytest.approx(limits.max_turn)
    np.testing.assert_allclose(np.cross(*turns), 0, atol=1e-9)


def test_workspace(limits, make_pose):
    confined = confine(make_pose(x=2.0, y=-0.1, z=-1.0), limits)
    expected = (limits.workspace_high[0], -0.1, limits.workspace_low[2])
    assert tuple(confined.position) == pytest.approx(expected)


def test_tilt_is_taken_back_the_shortest_way(limits, make_pose):
    leaning = make_pose(roll=math.pi - 0.9, yaw=0.7)
    confined = confine(leaning, limits)
    assert tilt(z_axis(confined.rotation)) == pytest.approx(limits.max_tilt)
    turned = np.linalg.norm(between(leaning.rotation, confined.rotation))
    assert turned == pytest.approx(0.9 - limits.max_tilt)


def test_a_pose_inside_is_the_same_object(limits, make_pose):
    pose = make_pose(pitch=limits.max_tilt - 1e-3)
    assert confine(pose, limits) is pose


@given(st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(*[st.floats(-math.pi, math.pi)] * 3))
def test_whatever_is_confined_is_inside(limits, make_pose, position, euler):
    confined = confine(make_pose(*position, *euler), limits)
    assert np.all(confined.position >= limits.workspace_low)
    assert np.all(confined.position <= limits.workspace_high)
    assert tilt(z_axis(confined.rotation)) <= limits.max_tilt + 1e-6


def test_straight_up_is_confined_too(limits, make_pose):
    confined = confine(make_pose(roll=0.0), limits)
    assert tilt(z_axis(confined.rotation)) == pytest.approx(limits.max_tilt)
