"""Where the gate takes the arm, and where its limits end."""

import dataclasses
import math

import numpy as np
import pytest

from vjepa_gate.admission import Refused
from vjepa_gate.hand import HandResult
from vjepa_gate.rotations import between, z_axis

PERIOD = 0.01


# --- going there -------------------------------------------------------------------------


def test_it_is_silent_until_the_first_action_that_it_takes(rig, make_pose):
    """Nothing may pull at an arm that nobody asked to move, to a pose that may be stale."""
    rig.pass_time(0.5)
    with pytest.raises(Refused):
        rig.send(dx=0.05, frame="camera")
    rig.pass_time(0.5)
    assert rig.targets == []
    assert rig.status().message == "holding: no action yet"
    rig.send()
    rig.pass_time(0.5)
    for target in rig.targets:
        assert target.pose.position == pytest.approx(make_pose().position)


def test_an_action_is_carried_out(rig, judge, make_pose):
    rig.send(dx=0.02, dy=0.05, dyaw=0.2)
    rig.pass_time(0.1)
    assert rig.status().message == "moving"
    rig.pass_time(1.0)
    assert rig.status() == dataclasses.replace(rig.status(), level="ok", message="at the goal")
    assert rig.pose.position == pytest.approx((0.52, 0.05, 0.3), abs=1e-3)
    assert between(rig.pose.rotation, make_pose(yaw=0.2).rotation) == pytest.approx(0, abs=1e-3)
    judge(rig.targets)


def test_the_goal_is_relative_to_where_the_arm_was_at_the_image(rig):
    """Planning takes time: the arm has moved on since the picture was taken."""
    rig.send(dy=0.10)
    rig.pass_time(0.3)
    seen_at, seen = rig.now, rig.pose.position.copy()
    rig.pass_time(0.3)
    assert rig.pose.position[1] > seen[1] + 0.02
    rig.send(dy=0.04, image_stamp=seen_at)
    rig.pass_time(1.5)
    assert rig.pose.position[1] == pytest.approx(seen[1] + 0.04, abs=5e-3)


def test_targets_do_not_run_away_from_an_arm_that_cannot_follow(rig, limits):
    """Actions are added to the measured pose: a blocked arm is pushed by one step, not by ten."""
    rig._follow = lambda target: None
    for _ in range(10):
        rig.send(dy=0.05)
        rig.pass_time(0.5)
    assert rig.targets[-1].pose.position[1] == pytest.approx(0.05, abs=1e-3)


def test_an_arm_that_sags_does_not_sink_while_it_waits(make_rig):
    rig = make_rig(sag=0.01)
    rig.send()
    rig.pass_time(3.0)
    assert rig.pose.position[2] == pytest.approx(0.29, abs=1e-3)


def test_an_arm_that_leans_is_not_turned_by_actions_that_ask_for_no_turn(make_rig, make_pose):
    """Each would else start from where the one before has left the arm, a little farther round."""
    rig = make_rig(lean=0.02)
    for dx in (0.02, -0.02) * 15:
        rig.send(dx=dx)
        rig.pass_time(0.5)
        rig.pass_time(3.0 * (dx < 0))  # what follows may be another task
    turned = between(make_pose().rotation, rig.targets[-1].pose.rotation)
    assert np.linalg.norm(turned) <= 1e-6


def test_a_turn_from_outside_is_kept(rig, limits, make_pose):
    """An arm that is turned farther from its targets than it may lag was turned by somebody."""
    rig.send(dx=0.02)
    rig.pass_time(1.0)
    for angle in np.linspace(0, limits.turn_lag + 0.05, 50):
        rig.jump(make_pose(x=0.52, yaw=angle))
        rig.pass_time(PERIOD)
    rig.send(dx=0.02)
    rig.pass_time(1.0)
    kept = between(rig.pose.rotation, rig.targets[-1].pose.rotation)
    assert kept == pytest.approx(0, abs=1e-3)


def test_a_turn_that_was_broken_off_is_not_taken_up_again(rig):
    """By an action that asks for none: the arm stays turned as it came to rest."""
    rig.send(dyaw=0.15)
    rig.pass_time(0.3)
    rig.gate.hold()
    rig.pass_time(0.5)
    turned = rig.targets[-1].pose.rotation
    rig.send(dx=0.02)
    rig.pass_time(1.0)
    assert between(turned, rig.targets[-1].pose.rotation) == pytest.approx(0, abs=1e-3)


def test_a_later_action_takes_over_smoothly(rig, judge):
    rig.send(dy=0.1)
    rig.pass_time(0.3)
    rig.send(dy=-0.1, dx=0.05)
    rig.pass_time(1.5)
    judge(rig.targets)


def test_no_target_is_sent_twice(rig):
    """A timer that catches up ticks faster than targets are due."""
    rig.send()
    rig.pass_time(0.1)
    assert rig.gate.tick(rig.now) is None
    assert rig.gate.tick(rig.now + 0.4 * PERIOD) is None
    assert rig.gate.tick(rig.now + 1.2 * PERIOD) is not None


# --- limits: one test each ---------------------------------------------------------------


def test_step_limit(rig, limits):
    rig.send(dx=0.2, dy=0.3, dz=0.1)
    rig.pass_time(2.0)
    moved = rig.targets[-1].pose.position - (0.5, 0, 0.3)
    assert np.linalg.norm(moved) == pytest.approx(limits.max_step)
    assert rig.status().values["shortened or confined"] == "1"


def test_turn_limit(rig, limits, make_pose):
    rig.send(dyaw=3.0)
    rig.pass_time(2.0)
    turned = between(make_pose().rotation, rig.targets[-1].pose.rotation)
    assert np.linalg.norm(turned) == pytest.approx(limits.max_turn)


def test_workspace_limit(rig, limits):
    for _ in range(10):
        rig.send(dx=0.13)
        rig.pass_time(0.8)
    assert rig.targets[-1].pose.position[0] == pytest.approx(limits.workspace_high[0])


def test_tilt_limit(rig, limits, judge):
    for _ in range(6):
        rig.send(dpitch=0.3)
        rig.pass_time(0.8)
    judge(rig.targets)
    _, _, z = z_axis(rig.targets[-1].pose.rotation)
    assert math.acos(-z) == pytest.approx(limits.max_tilt, abs=1e-6)


def test_speed_limit(rig, limits):
    rig.send(dx=0.13, duration=0.0)
    rig.pass_time(1.0)
    speeds = [np.linalg.norm(target.velocity) for target in rig.targets]
    assert max(speeds) == pytest.approx(limits.speed)


def test_acceleration_limit(rig, limits):
    rig.send(dx=0.13, duration=0.0)
    rig.pass_time(1.0)
    velocities = np.array([target.velocity for target in rig.targets])
    fastest = np.linalg.norm(np.diff(velocities, axis=0), axis=1).max() / PERIOD
    assert fastest == pytest.approx(limits.acceleration)


# --- the gripper -------------------------------------------------------------------------


def test_closing_and_opening(rig):
    assert rig.send(dclosedness=1.0) == pytest.approx(0.0)
    rig.width = 0.0
    rig.pass_time(0.1)
    assert rig.send(dclosedness=-0.5) == pytest.approx(0.02)  # per finger: 4 cm between them


def test_gripper_goals_stay_within_its_opening(rig, robot):
    assert rig.send(dclosedness=1.0) == 0.0
    rig.width = 0.0
    rig.pass_time(0.1)
    assert rig.send(dclosedness=-1.0) == robot.gripper.max_width / 2


def test_a_tiny_change_is_no_new_goal(rig):
    assert rig.send(dclosedness=0.04) is None
    assert rig.send(dclosedness=0.5) is not None
    assert rig.send(dclosedness=0.5) is None  # the same goal again
    assert rig.send(dclosedness=0.52) is None
    assert rig.send(dclosedness=0.6) is not None


def test_a_held_object_is_not_let_go(rig):
    """Fingers on a 4 cm cube stand at 0.5; a goal of just that would take the force away."""
    rig.send(dclosedness=1.0)
    rig.width = 0.04
    rig.pass_time(0.1)
    assert rig.send(dx=0.01) is None
    assert rig.send(dclosedness=0.5) is None
    assert rig.send(dclosedness=-0.25) == pytest.approx(0.03)


def test_a_goal_that_the_gripper_refused_is_sent_again(rig):
    rig.send(dclosedness=1.0)
    rig.gate.hand_finished(rig.hand_goal, HandResult(outcome="refused", why="no server"))
    assert rig.status().message == (
        "gripper: closing was refused, the fingers are at 80 mm: no server"
    )
    assert rig.send(dclosedness=1.0) == 0.0
    rig.gate.hand_finished(rig.hand_goal, HandResult(outcome="succeeded"))
    assert rig.status().level == "ok"
