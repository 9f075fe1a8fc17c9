"""How hard the arm can push: no target is far from it, whatever it meets, and what is measured."""

import contextlib
import dataclasses

import numpy as np
import pytest

from vjepa_gate.admission import Refused
from vjepa_gate.pose import Pose
from vjepa_gate.robots import Contact, Topic

PERIOD = 0.01


@pytest.fixture
def bound(limits):
    return limits.max_step + limits.lag


def moved(pose, **by):
    return Pose(pose.position + [by.get(axis, 0.0) for axis in "xyz"], pose.rotation)


def farthest(rig, seconds):
    """Of the targets from the arm, while time passes."""
    most = 0.0
    for _ in range(round(seconds / PERIOD)):
        sent = len(rig.targets)
        before = rig.pose
        rig.pass_time(PERIOD)
        if len(rig.targets) > sent:
            away = np.linalg.norm(rig.targets[-1].pose.position - before.position)
            most = max(most, away)
    return most


# --- an arm that is elsewhere ----------------------------------------------------------------


def test_an_arm_that_is_led_away_by_hand_is_let_go_and_taken_up_where_it_rests(rig, bound):
    """Gravity compensation keeps the mode: an impedance controller that is switched on then
    would pull the arm over the whole way back."""
    rig.send()
    rig.pass_time(0.2)
    rig._follow = lambda target: None
    for _ in range(50):  # 25 cm in 0.5 s
        rig.pose = moved(rig.pose, y=0.005)
        assert farthest(rig, PERIOD) <= bound
    sent = len(rig.targets)
    message = rig.status().message
    assert message.startswith("stopped: the arm is 0.18 m and 0.00 rad from its target, limits")
    assert rig.status().values["let go"] == "1"
    with pytest.raises(Refused, match="let go until it has come to rest"):
        rig.send(dx=0.05)
    rig.pass_time(0.7)
    assert rig.status().level == "ok"
    assert rig.targets[sent].pose.position == pytest.approx(rig.pose.position)
    rig.send(dx=0.05)
    rig.pass_time(0.1)


def test_a_blocked_arm_is_pushed_by_one_step_and_the_lag_at_most(rig, bound):
    """It moved on since the picture that its action was planned from, and is pushed back."""
    rig.send(dy=0.13, duration=0.3)
    rig.pass_time(0.6)
    seen_at = rig.now
    rig._follow = lambda target: None
    for _ in range(16):
        rig.pose = moved(rig.pose, y=-0.008)
        rig.pass_time(PERIOD)
    rig.send(dy=0.13, image_stamp=seen_at)
    assert farthest(rig, 1.5) <= bound
    assert rig.status().values["let go"] == "1"


def test_an_arm_that_is_turned_away_is_let_go(rig, limits, make_pose):
    rig.send()
    rig.pass_time(0.2)
    rig._follow = lambda target: None
    for tick in range(70):
        rig.pose = make_pose(yaw=0.01 * tick)
        rig.pass_time(PERIOD)
    assert "0.56 rad from its target" in rig.status().message


# --- poses that cannot be --------------------------------------------------------------------


def glitch(rig, seconds, **by):
    """Poses that are elsewhere for a moment."""
    for _ in range(round(seconds / PERIOD)):
        true = rig.pose
        rig.pose = moved(true, **by)
        rig._follow, follow = lambda target: None, rig._follow
        rig.pass_time(PERIOD)
        rig.pose, rig._follow = true, follow


@pytest.mark.parametrize("by", [{"y": 1.0}, {"y": -0.3}, {"z": 0.5}])
def test_a_glitch_of_the_measured_pose_moves_nothing(rig, by):
    rig.send()
    rig.pass_time(0.2)
    glitch(rig, 0.1, **by)
    rig.send(dy=0.01)
    rig.pass_time(0.1)
    glitch(rig, 0.1, **by)
    rig.pass_time(1.5)
    ways = [target.pose.position[1] for target in rig.targets]
    assert min(ways) > -1e-6
    assert max(ways) == pytest.approx(0.01, abs=2e-3)
    assert rig.status().values["let go"] == "0"


def test_a_jump_that_lasts_is_told_and_then_believed(rig, make_pose):
    rig.send()
    rig.pass_time(0.2)
    rig.jump(make_pose(y=-0.3))
    rig.pass_time(0.4)
    assert "measured poses jumped by 0.30 m and 0.00 rad within" in rig.status().message
    with pytest.raises(Refused):
        rig.send(dx=0.05)
    rig.pass_time(1.2)
    assert rig.status().level == "ok"
    assert rig.targets[-1].pose.position == pytest.approx((0.5, -0.3, 0.3))


@pytest.mark.parametrize("command", ["pose", "twist"])
def test_one_pose_from_the_future_is_no_news(robot, make_rig, make_pose, command):
    rig = make_rig(robot=dataclasses.replace(robot, command=command))
    rig.gate.observe_pose(make_pose(y=-0.03), rig.now + 2.9, rig.now)
    rig.send(dy=0.05)
    rig.pass_time(2.0)
    assert rig.pose.position[1] == pytest.approx(0.05, abs=5e-3)


def test_poses_that_stay_ahead_stop_it_and_are_told(rig, make_pose):
    rig.alive.remove("pose")
    for _ in range(40):
        rig.gate.observe_pose(make_pose(), rig.now + 0.4, rig.now)
        rig.pass_time(PERIOD)
    assert "the measured pose is stamped 0.40 s ahead of this clock" in rig.status().message


def test_two_publishers_of_the_measured_pose(rig):
    rig.gate.observe_pose_sources(["/franka_robot_state_broadcaster", "/pose_broadcaster"])
    why = "2 nodes publish the measured pose, expected one: /franka_robot_state_broadcaster, /pose"
    assert why in rig.status().message
    with pytest.raises(Refused, match="2 nodes publish the measured pose"):
        rig.send(dx=0.05)
    rig.gate.observe_pose_sources(["/pose_broadcaster"])
    rig.send(dx=0.05)


def test_a_pose_of_another_point_than_the_tool_is_refused_with_both(rig, make_pose):
    """Desk without the hand: the flange is measured, and the fingers are commanded."""
    assert not rig.gate.observe_tool(make_pose(z=0.3 - 0.1034), rig.now)
    why = (
        "the measured pose (0.500, 0.000, 0.300) is 0.103 m and 0.00 rad from panda_hand_tcp in TF "
        "(0.500, 0.000, 0.197)"
    )
    assert why in rig.status().message
    with pytest.raises(Refused, match=r"is 0\.103 m"):
        rig.send(dx=0.05)
    assert not rig.gate.observe_tool(make_pose(), rig.now - 10)  # not measured then
    assert rig.gate.observe_tool(make_pose(z=0.302), rig.now)
    rig.send(dx=0.05)


# --- velocities ------------------------------------------------------------------------------


@pytest.fixture
def twist_rig(robot, make_rig):
    return make_rig(robot=dataclasses.replace(robot, command="twist"))


def test_velocities_bring_the_arm_there(twist_rig):
    for way in (0.1, -0.1, 0.05):
        start = twist_rig.pose.position[1]
        twist_rig.send(dy=way)
        twist_rig.pass_time(1.9)
        assert twist_rig.pose.position[1] == pytest.approx(start + way, abs=3e-3)
    assert twist_rig.status().level == "ok"


def test_a_frozen_pose_whose_stamps_advance_moves_the_arm_no_further_than_its_lag(
    twist_rig, limits
):
    """What is measured looks alive, and is not: the arm would go on to the end of the table."""
    shown = twist_rig.frozen_pose = twist_rig.pose
    for _ in range(8):
        with contextlib.suppress(Refused):
            twist_rig.send(dy=0.1)
        twist_rig.pass_time(1.0)
    message = twist_rig.status().message
    assert message.startswith("stopped: the measured pose does not follow the commands, it is 0.1")
    gone = np.linalg.norm(twist_rig.pose.position - shown.position)
    most = limits.speed * 0.25 + limits.lag
    braking = limits.speed**2 / (2 * limits.acceleration)
    assert most < gone < most + braking + 2 * PERIOD * limits.speed
    twist_rig.frozen_pose = None
    twist_rig.pass_time(1.0)
    twist_rig.gate.resume()
    twist_rig.send(dy=-0.1)
    twist_rig.pass_time(1.0)
    assert twist_rig.status().level == "ok"


def test_a_frozen_pose_at_the_edge_does_not_let_the_arm_out(robot, make_rig, make_pose, limits):
    edge = limits.workspace_high[1]
    rig = make_rig(make_pose(y=edge - 0.02), robot=dataclasses.replace(robot, command="twist"))
    rig.frozen_pose = rig.pose
    rig.send(dy=0.1)
    rig.pass_time(2.0)
    assert rig.pose.position[1] <= edge + 1e-6


# --- contact ---------------------------------------------------------------------------------


@pytest.fixture
def touchy(robot):
    return dataclasses.replace(
        robot,
        topics=dataclasses.replace(robot.topics, external_wrench=Topic(name="wrench")),
        contact=Contact(max_force=20.0, max_torque=5.0),
    )


@pytest.mark.parametrize("wrench", [(25.0, 0.0), (3.0, 6.0), (float("nan"), 0.0)])
def test_an_external_wrench_stops_it_and_takes_the_force_away(make_rig, touchy, wrench):
    rig = make_rig(robot=touchy)
    rig.send(dx=0.12, duration=0.6)
    rig._follow = lambda target: None
    rig.gate.observe_wrench(19.0, 4.0)
    rig.pass_time(0.5)
    assert rig.targets[-1].pose.position[0] > 0.55
    rig.gate.observe_wrench(*wrench)
    rig.pass_time(0.3)
    assert rig.targets[-1].pose.position == pytest.approx(rig.pose.position)
    assert "limits 20 N and 5 Nm: call ~/resume when it is free" in rig.status().message
    with pytest.raises(Refused, match="the tool was pushed with"):
        rig.send(dx=-0.05)
    rig.gate.resume()
    rig.send(dx=-0.05)


def test_a_collision_that_the_robot_detects_stops_it(rig):
    rig.send(dx=0.12, duration=1.0)
    rig.pass_time(0.3)
    rig.gate.observe_collision(False)
    assert rig.status().level == "ok"
    rig.gate.observe_collision(True)
    assert rig.holds_still()
    assert "stopped: the robot detected a collision" in rig.status().message


def test_without_limits_no_wrench_stops_it(rig):
    rig.gate.observe_wrench(500.0, 50.0)
    rig.send(dx=0.05)


# --- clocks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-20.0, -1.0, -0.2])
def test_a_clock_that_is_set_back_costs_the_action_under_way_and_nothing_else(rig, step):
    rig.send(dx=0.1, duration=1.0)
    rig.pass_time(0.4)
    rig.now += step
    rig.pass_time(0.3)
    assert rig.gate.at_rest
    sent = len(rig.targets)
    assert rig.status().message == "holding: no action yet"
    rig.pass_time(0.2)
    assert len(rig.targets) == sent + 20
    rig.send(dx=0.05)
    rig.pass_time(0.1)
    assert rig.status().message == "moving"


@pytest.mark.parametrize("step", [20.0, 0.3])
def test_a_clock_that_is_set_forward(rig, step):
    rig.send(dx=0.1, duration=1.0)
    rig.pass_time(0.4)
    rig.now += step
    rig.pass_time(1.0)
    rig.send(dx=0.05)
    rig.pass_time(0.1)
    assert rig.status().message == "moving"


def test_after_a_step_back_old_news_is_not_fresh(rig):
    """Nothing comes any more, and what came before is stamped later than now."""
    rig.send(dx=0.1, duration=1.0)
    rig.pass_time(0.4)
    rig.alive.clear()
    rig.now -= 20
    rig.pass_time(0.5)
    assert rig.gate.silent
    assert rig.status().level == "error"


def test_it_does_not_start_where_a_pose_that_is_doubted_now_was_last_believed(rig, make_pose):
    rig.pass_time(0.2)
    rig.pose = make_pose(y=0.05)
    rig.pass_time(0.1)
    with pytest.raises(Refused, match=r"measured poses jumped by 0\.05 m"):
        rig.send(dx=0.05)
    rig.pass_time(0.8)
    rig.send(dx=0.05)


def test_while_it_is_in_doubt_where_the_arm_is_no_target_is_far_from_either_place(rig, bound):
    """Measured poses froze while the arm was led away, and are true again."""
    rig.send()
    rig.pass_time(0.2)
    rig._follow = lambda target: None
    rig.pose = moved(rig.pose, y=-0.3)
    for _ in range(120):
        assert farthest(rig, PERIOD) <= bound
    rig.pass_time(1.0)
    assert rig.status().level == "ok"
    assert rig.targets[-1].pose.position == pytest.approx(rig.pose.position)


def test_what_was_not_sent_in_doubt_is_not_made_good_at_once(rig, limits):
    rig.send(dy=0.12, duration=0.4)
    rig.pass_time(0.3)
    last = rig.targets[-1].pose.position
    glitch(rig, 0.08, z=0.5)
    rig.pass_time(PERIOD)
    step = np.linalg.norm(rig.targets[-1].pose.position - last)
    assert step <= 2 * PERIOD * limits.speed * 1.001


def test_in_a_dry_run_velocities_go_on_though_no_arm_follows(robot, make_rig):
    robot = dataclasses.replace(robot, command="twist")
    rig = make_rig(robot=robot, dry_run=True)
    rig.jump(rig.pose)
    most = robot.limits.max_step + robot.limits.lag
    for _ in range(4):
        rig.send(dy=0.1)
        rig.pass_time(1.5)
        assert rig.status().level == "ok"
    assert max(target.pose.position[1] for target in rig.targets) <= most
    assert max(target.velocity[1] for target in rig.targets) > 0.05
