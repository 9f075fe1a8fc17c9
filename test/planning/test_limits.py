import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vjepa_ros.conventions import GRIPPER, POSITION, ROTATION
from vjepa_ros.planning.limits import ActionLimits, Ball, Box

sizes = st.floats(0.001, 0.9)
shapes = st.one_of(st.builds(Box, sizes), st.builds(Ball, sizes))
limits_of_any_kind = st.builds(
    ActionLimits,
    translation=shapes,
    rotation=st.one_of(st.none(), shapes),
    gripper=shapes,
)
action_lists = st.lists(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=7, max_size=7), min_size=1, max_size=8
)


@given(limits_of_any_kind, action_lists)
def test_projected_actions_are_allowed_and_stay_where_they_are(limits, actions):
    projected = limits.project(torch.tensor(actions))
    limits.check("actions", projected)
    torch.testing.assert_close(limits.project(projected), projected)


@given(shapes, st.lists(st.floats(-2, 2, width=32), min_size=3, max_size=3), st.integers(0, 99))
def test_projection_is_the_nearest_allowed_action(shape, translation, seed):
    limits = ActionLimits(translation=shape)
    action = torch.tensor([*translation, 0, 0, 0, 0.0])
    drawn = torch.randn(200, 7, generator=torch.Generator().manual_seed(seed))
    others = limits.project(drawn)[:, POSITION]
    nearest = (limits.project(action)[POSITION] - action[POSITION]).norm()
    assert nearest <= (others - action[POSITION]).norm(dim=-1).min() + 1e-6


def test_a_box_bounds_each_axis_and_a_ball_their_norm():
    action = torch.tensor([0.3, 0.4, 0.0, 0, 0, 0, 0])
    box = ActionLimits(translation=Box(0.25)).project(action)
    ball = ActionLimits(translation=Ball(0.25)).project(action)
    torch.testing.assert_close(box[POSITION], torch.tensor([0.25, 0.25, 0]))
    torch.testing.assert_close(ball[POSITION], torch.tensor([0.15, 0.20, 0]))


def test_rotation_is_searched_only_on_request():
    action = torch.full((7,), 0.05)
    assert not ActionLimits().project(action)[ROTATION].any()
    assert ActionLimits().searched() == [0, 1, 2, 6]
    turning = ActionLimits(rotation=Box(0.02))
    torch.testing.assert_close(turning.project(action)[ROTATION], torch.full((3,), 0.02))
    assert turning.searched() == list(range(7))


def test_what_is_held_and_when_the_gripper_closes():
    limits = ActionLimits(held={0: 0.02}, closing=1)
    projected = limits.project(torch.full((3, 7), 0.05))
    assert projected[:, 0].tolist() == pytest.approx([0.02] * 3)
    assert projected[:, GRIPPER].tolist() == pytest.approx([0.05, 1.0, 1.0])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([0.08, 0, 0, 0, 0, 0, 0], r"plan reaches 0\.08 in translation.*box of 0\.075"),
        ([0, 0, 0, 0, 0, 0, -0.9], r"plan reaches 0\.9 in gripper"),
        ([0, 0, 0, 0.01, 0, 0, 0], "plan turns the gripper"),
        ([math.nan, 0, 0, 0, 0, 0, 0], "plan holds NaN"),
        ([0, 0, 0, 0, 0, 0], r"shape \[6\], expected floating point actions \[\.\.\., 7\]"),
    ],
)
def test_actions_out_of_limits_are_named(action, message):
    with pytest.raises(ValueError, match=message):
        ActionLimits().check("plan", torch.tensor(action))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"translation": Box(75.0)}, "translation is 75, expected metres"),
        ({"translation": Ball(0.0)}, "translation is 0"),
        ({"rotation": Box(10.0)}, "rotation is 10, expected radians"),
        ({"gripper": Box(1.5)}, "gripper is 1.5, expected closedness"),
    ],
)
def test_impossible_limits_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ActionLimits(**options)
