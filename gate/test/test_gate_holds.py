"""When the gate holds the arm, why, and until when."""

import math

import numpy as np
import pytest

from vjepa_gate.admission import Refused
from vjepa_gate.gate import HINDRANCE
from vjepa_gate.hand import HandResult

PERIOD = 0.01
FAREWELL = 0.06  # seconds in which the last target is repeated


def start_moving(rig):
    rig.send(dx=0.12, duration=2.0)
    rig.pass_time(0.5)
    assert not rig.gate.at_rest


def ends_with_a_farewell(rig):
    """Whoever misses a message, the newest one at that, must not be left with a motion."""
    last = rig.targets[-6:]
    return not np.ptp([target.pose.position for target in last], axis=0).any()


def test_silence_of_the_planner(make_rig, judge):
    rig = make_rig(max_command_age=0.5)
    rig.send(dx=0.12, duration=0.5)
    rig.pass_time(0.3)
    rig.send(dx=0.12, duration=0.5)
    rig.pass_time(0.5)
    assert rig.holds_still()
    assert rig.status().message.startswith("holding: no action for 1.")
    judge(rig.targets)


@pytest.mark.parametrize("late", ["silent", "repeated", "delayed"])
def test_a_camera_without_news(rig, judge, late):
    start_moving(rig)
    rig.alive.remove("camera")
    stamp = rig.now
    for _ in range(110):
        if late == "repeated":  # the same picture again and again
            rig.gate.observe_image(stamp, "picture", rig.now)
        if late == "delayed":  # new pictures, 5 s late
            rig.gate.observe_image(rig.now - 5, rig.now, rig.now)
        rig.pass_time(PERIOD)
    assert rig.holds_still()
    assert rig.status().level == "warning"
    assert "holding: newest camera image is" in rig.status().message
    with pytest.raises(Refused, match="newest camera image is"):
        rig.send(dx=0.05)
    rig.alive.add("camera")
    rig.pass_time(0.1)
    assert rig.status().level == "ok"
    rig.send(dx=0.05)
    judge(rig.targets)


def test_a_picture_taken_while_poses_are_in_doubt_is_not_of_where_the_tool_was(rig, make_pose):
    """An arm that has jumped, a recording that begins anew: the picture is of the new place."""
    rig.send()
    rig.pass_time(0.2)
    rig.jump(make_pose(y=-0.15))
    rig.pass_time(0.01)
    rig.alive.add("frozen")  # from here on: the first of the new place, again and again
    rig.pass_time(1.5)
    assert rig.status().level == "ok"


def test_a_frozen_camera_with_new_stamps(rig, judge):
    rig.alive.add("frozen")
    rig.pass_time(1.0)
    assert rig.status().level == "ok"  # nothing moves: a picture may well stay the same
    rig.send(dx=0.12, duration=2.0)
    rig.pass_time(0.5)
    why = "camera image has not changed while the tool moved 0.0"
    assert why in rig.status().message
    assert rig.holds_still()
    with pytest.raises(Refused, match=why):
        rig.send(dx=-0.05)
    rig.alive.remove("frozen")
    rig.pass_time(0.1)
    rig.send(dx=-0.05)
    rig.pass_time(0.5)
    assert rig.status().level == "ok"
    judge(rig.targets)


def test_two_planners(rig):
    start_moving(rig)
    rig.gate.observe_planners(2)
    assert rig.holds_still()
    assert rig.status().message == "holding: 2 nodes publish actions, expected one"
    rig.gate.observe_planners(1)
    rig.send(dx=0.05)


def test_a_status_says_why_no_action_is_taken(rig):
    assert rig.status().values[HINDRANCE] == ""
    rig.send(dclosedness=1.0)
    rig.gate.hand_finished(rig.hand_goal, HandResult(outcome="refused"))
    assert rig.status().values[HINDRANCE] == ""  # the arm can move
    rig.gate.stop("stopped by request")
    assert rig.status().values[HINDRANCE] == "stopped by request"


def test_the_fingers(rig):
    start_moving(rig)
    rig.alive.remove("fingers")
    rig.pass_time(0.3)
    assert rig.holds_still()
    assert "newest finger position is" in rig.status().message


def test_a_state_that_stops_ends_the_stream_and_it_starts_again_from_the_arm(rig, make_pose, judge):
    start_moving(rig)
    rig.alive.remove("pose")
    rig.pass_time(0.25 + 0.27)
    rig.pass_time(FAREWELL)
    sent = len(rig.targets)
    assert ends_with_a_farewell(rig)  # and braked first
    judge(rig.targets)
    rig.pass_time(1.0)
    assert len(rig.targets) == sent
    assert rig.status().level == "error"
    assert "stopped: newest measured pose is" in rig.status().message

    rig.pose = make_pose(y=0.2)  # moved by hand meanwhile
    rig.alive.add("pose")
    rig.pass_time(0.2)
    assert rig.targets[sent].pose.position == pytest.approx((0.5, 0.2, 0.3))
    assert rig.status().level == "ok"


def test_a_pose_that_cannot_be_used_is_explained(rig):
    rig.alive.remove("pose")
    rig.gate.observe_bad_pose("measured poses are given in frame 'world', expected 'base'")
    assert rig.status().level == "ok"  # once is no trouble
    rig.pass_time(0.5)
    assert "in frame 'world', expected 'base'" in rig.status().message


def test_an_arm_outside_its_limits_is_left_alone(robot, make_rig, make_pose):
    rig = make_rig(make_pose(z=-0.05, pitch=0.9))
    rig.pass_time(0.5)
    with pytest.raises(Refused, match="the tool at"):
        rig.send(dx=0.01)
    assert not rig.targets
    assert "the tool at (0.500, 0.000, -0.050) m, tilted by 0.90 rad" in rig.status().message
    rig.pose = make_pose(z=0.004)  # noise
    rig.pass_time(1.0)
    rig.send(dx=0.01)
    rig.pass_time(0.1)
    assert rig.targets[0].pose.position[2] == robot.limits.workspace_low[2]


def test_the_deadman(make_rig):
    rig = make_rig(deadman=True)
    assert "no deadman signal yet" in rig.status().message

    def press(pressed, seconds):
        for _ in range(round(seconds / 0.1)):
            rig.gate.observe_deadman(pressed, rig.now)
            rig.pass_time(0.1)

    press(True, 0.1)
    rig.send(dx=0.1, duration=1.5)
    press(True, 0.5)
    assert not rig.gate.at_rest
    press(False, 0.3)
    assert rig.gate.at_rest
    assert "the deadman is released" in rig.status().message
    press(True, 0.1)
    rig.send(dx=0.1, duration=1.5)
    rig.pass_time(0.7)
    assert rig.gate.at_rest
    assert "newest deadman signal is" in rig.status().message


def test_hold_waits_for_the_next_action(rig):
    start_moving(rig)
    rig.gate.hold()
    assert rig.holds_still()
    assert rig.status().message == "holding: waiting for the next action"
    rig.send(dx=0.05)
    rig.pass_time(0.1)
    assert not rig.gate.at_rest


def test_it_leaves_after_a_farewell_and_enters_where_the_arm_is_then(rig, make_pose, judge):
    start_moving(rig)
    rig.gate.leave()
    rig.pass_time(0.3 + FAREWELL)
    sent = len(rig.targets)
    assert rig.gate.silent
    assert ends_with_a_farewell(rig)
    judge(rig.targets)
    rig.pass_time(0.2)
    rig.pose = make_pose(y=0.2)  # moved by hand meanwhile
    rig.pass_time(0.8)
    with pytest.raises(Refused, match="not active"):
        rig.send(dx=0.05)
    rig.gate.enter()
    rig.pass_time(0.1)
    assert len(rig.targets) == sent  # until there is something to do
    rig.send(dx=0.05)
    rig.pass_time(0.1)
    assert rig.targets[sent].pose.position == pytest.approx((0.5, 0.2, 0.3), abs=1e-3)


def test_stop_refuses_until_resume(rig):
    start_moving(rig)
    rig.gate.stop("stopped by request")
    assert rig.holds_still()
    assert rig.status().level == "error"
    assert rig.status().message == "stopped: stopped by request"
    with pytest.raises(Refused, match="stopped by request"):
        rig.send(dx=0.05)
    rig.gate.resume()
    assert rig.holds_still()  # what it was doing is forgotten
    rig.send(dx=0.05)


@pytest.mark.parametrize(("mode", "name"), [(4, "reflex"), (5, "user stop")])
def test_the_robots_own_stop_lasts_until_resume(make_rig, mode, name):
    rig = make_rig(watch_mode=True, max_state_age=5.0)
    rig.gate.observe_mode(2, rig.now, rig.now)
    rig.pass_time(0.1)
    start_moving(rig)
    rig.gate.observe_mode(mode, rig.now, rig.now)
    rig.pass_time(0.3 + FAREWELL)
    sent = len(rig.targets)
    rig.pass_time(0.5)
    assert len(rig.targets) == sent  # an arm in reflex is left alone
    assert f"the robot is in mode {name}" in rig.status().message
    with pytest.raises(Refused, match="release it first"):
        rig.gate.resume()

    rig.gate.observe_mode(2, rig.now, rig.now)
    rig.pass_time(0.2)
    with pytest.raises(Refused, match=f"the robot was in mode {name}"):
        rig.send(dx=0.05)
    rig.gate.resume()
    rig.send(dx=0.05)


@pytest.mark.parametrize(("mode", "name"), [(1, "idle"), (3, "guiding"), (9, "9")])
def test_other_modes_stop_it_only_while_they_last(make_rig, mode, name):
    rig = make_rig(watch_mode=True, max_state_age=5.0)
    rig.gate.observe_mode(mode, rig.now, rig.now)
    rig.pass_time(0.2)
    assert not rig.targets
    assert f"the robot is in mode {name}" in rig.status().message
    rig.gate.observe_mode(2, rig.now, rig.now)
    rig.pass_time(0.1)
    rig.send(dx=0.05)


def test_a_mode_that_stops_arriving(make_rig):
    rig = make_rig(watch_mode=True)
    assert "no robot mode yet" in rig.status().message
    rig.gate.observe_mode(2, rig.now, rig.now)
    rig.pass_time(0.1)
    assert rig.status().level == "ok"
    rig.pass_time(0.3)
    assert "newest robot mode is" in rig.status().message


def test_another_publisher_of_targets(rig):
    start_moving(rig)
    rig.gate.observe_intruders(["/teleop"])
    rig.pass_time(0.3 + FAREWELL)
    sent = len(rig.targets)
    rig.pass_time(0.2)
    assert len(rig.targets) == sent
    assert rig.status().message == "stopped: others send targets too: /teleop"
    rig.gate.observe_intruders([])
    rig.pass_time(0.1)
    rig.send(dx=0.05)


@pytest.mark.parametrize("width", [-0.01, 0.2, math.nan])
def test_a_width_that_the_gripper_cannot_have(rig, width):
    with pytest.raises(ValueError, match="gripper width"):
        rig.gate.observe_fingers(width, rig.now, rig.now)
