"""A target is approached, never teleported to; what is no target is refused."""

import math
import time

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped

POSE = "franka_robot_state_broadcaster/current_pose"


def test_a_far_target_is_approached_at_limited_speed(lab):
    start = lab.move((0.45, 0.0, 0.30), 2.0)[-1]
    goal = np.array((0.60, 0.15, 0.20))
    path = lab.move(goal, 2.0)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert steps.max() < 0.8 / 100  # metres in a hundredth of a second
    assert np.linalg.norm(path[9] - start) < 0.05  # after a tenth of a second
    np.testing.assert_allclose(path[-1], goal, atol=2e-3)


def test_a_target_out_of_reach_stretches_the_arm_towards_it(lab):
    path = lab.move((3.0, 0.0, 0.4), 4.0)
    assert 0.6 < path[-1][0] < 0.9
    assert np.isfinite(path).all()
    back = lab.move((0.45, 0.0, 0.3), 6.0)
    np.testing.assert_allclose(back[-1], (0.45, 0.0, 0.3), atol=5e-3)


def test_the_last_target_counts(lab):
    lab.send_target((0.40, -0.10, 0.25))
    path = lab.move((0.50, 0.10, 0.30), 3.0)
    np.testing.assert_allclose(path[-1], (0.50, 0.10, 0.30), atol=2e-3)


def test_the_tool_turns(lab):
    yaw = 0.5
    turn = (math.cos(yaw / 2), math.sin(yaw / 2), 0.0, 0.0)
    lab.move((0.45, 0.0, 0.3), 3.0, quaternion=turn)
    pose = lab.inbox(POSE)
    lab.step(0.1)
    reached = pose.wait()[-1].pose.orientation
    overlap = abs(np.dot((reached.x, reached.y, reached.z, reached.w), turn))
    assert overlap > math.cos(0.01)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"position": (math.nan, 0.0, 0.3)}, "not finite"),
        ({"position": (0.5, math.inf, 0.3)}, "not finite"),
        ({"quaternion": (1.0, math.nan, 0.0, 0.0)}, "not finite"),
        ({"quaternion": (1.0, 1.0, 0.0, 0.0)}, "norm is 1.41421, expected 1"),
        ({"quaternion": (0.0, 0.0, 0.0, 0.0)}, "norm is 0, expected 1"),
        ({"frame": "camera_optical_frame"}, "frame 'camera_optical_frame', expected 'base'"),
        ({"frame": ""}, "frame '', expected 'base'"),
    ],
)
def test_a_wrong_target_is_refused_and_said_so(lab, lockstep, wrong, message):
    time.sleep(1.0)  # a warning a second
    stayed = lab.move(**{"position": (0.5, 0.2, 0.4), "seconds": 0.5, **wrong})
    assert np.ptp(stayed, axis=0).max() < 1e-3
    assert message in lockstep.said()


def test_a_flood_of_wrong_targets_is_no_flood_of_warnings(lab, lockstep):
    before = lockstep.said().count("refused")
    for _ in range(100):
        stamp = lab.send_target((math.nan, 0.0, 0.0))
    lab.step(0.1, after_target=stamp)
    assert lockstep.said().count("refused") - before <= 2


def test_two_publishers_of_targets_are_refused(lab, lockstep):
    second = lab.node.create_publisher(PoseStamped, "target_pose", 1)
    lab.until(lambda: second.get_subscription_count() == 1)
    time.sleep(1.0)
    stayed = lab.move((0.5, 0.2, 0.4), 0.5)
    assert np.ptp(stayed, axis=0).max() < 1e-3
    assert "2 publishers, expected one" in lockstep.said()
    lab.node.destroy_publisher(second)
    lab.until(lambda: lab.node.count_publishers("target_pose") == 1)
    lab.move((0.5, 0.2, 0.4), 3.0)


def test_a_cube_is_grasped_and_lifted_through_the_topics(lab):
    truths = lab.inbox("sim/truth")
    lab.step(0.1)
    cube = truths.wait()[-1].objects[0]
    assert (cube.name, cube.kind, list(cube.touches)) == ("cube", "cube", ["table"])
    x, y, z = cube.pose.position.x, cube.pose.position.y, cube.pose.position.z
    turn = cube.pose.orientation
    yaw = 2 * math.atan2(turn.z, turn.w)
    down = (math.cos(yaw / 2), math.sin(yaw / 2), 0.0, 0.0)
    lab.move((x, y, 0.2), 2.5, quaternion=down)
    lab.move((x, y, z), 2.5, quaternion=down)
    assert not truths.wait()[-1].success
    handle = lab.grip(0.0, max_effort=40.0)
    lab.step(1.0)
    result = lab.ask(handle.get_result_async).result
    assert (result.reached_goal, result.stalled, result.effort) == (False, True, 40.0)
    assert 0.015 < result.position < 0.03  # half of the cube
    lab.move((x, y, 0.3), 2.5, quaternion=down)
    truth = truths.wait()[-1]
    assert truth.success, truth.reason
    assert list(truth.objects[0].touches) == ["fingers"]
