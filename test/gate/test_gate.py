"""The gate with a slow arm behind it: what it refuses, when it holds, where it goes."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vjepa_ros.gate.gate import CLOCK_TOLERANCE, Delta, Gate, GateConfig, Refused
from vjepa_ros.gate.pose import Pose
from vjepa_ros.gate.rotations import between, z_axis

PERIOD = 0.01
PLANNER = b"planner"
NUMBERS = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "dclosedness")


class Rig:
    """A gate, a clock, and an arm that follows its targets late, sagging by `sag` metres."""

    def __init__(self, robot, pose, sag=0.0, watch_mode=False, **config):
        self.gate = Gate(robot, GateConfig(**config), watch_mode=watch_mode)
        self.base = robot.base_frame
        self.now, self.pose, self.sag, self.width = 100.0, pose, sag, 0.08
        self.alive = {"pose", "fingers", "camera"}
        self.sequence = itertools.count(1)
        self.targets = []
        self.pass_time(0.05)

    def pass_time(self, seconds):
        for _ in range(round(seconds / PERIOD)):
            self.now += PERIOD
            if "pose" in self.alive:
                self.gate.observe_pose(self.pose, self.now, self.now)
            if "fingers" in self.alive:
                self.gate.observe_fingers(self.width, self.now, self.now)
            if "camera" in self.alive:
                self.gate.observe_image(self.now, self.now)
            target = self.gate.tick(self.now)
            if target is not None:
                self.targets.append(target)
                self._follow(target)

    def _follow(self, target):
        wanted = target.pose.position - (0, 0, self.sag)
        position = self.pose.position + 0.2 * (wanted - self.pose.position)
        self.pose = Pose(position, target.pose.rotation)

    def send(self, publishers=(PLANNER,), age=0.0, **values):
        how = {
            "frame": self.base,
            "image_stamp": self.now - age,
            "sequence": next(self.sequence),
            "duration": 0.5,
        }
        how |= {name: values.pop(name) for name in list(values) if name not in NUMBERS}
        numbers = [values.get(name, 0.0) for name in NUMBERS]
        return self.gate.command(Delta(action=numbers, **how), publishers, self.now)

    def status(self):
        return self.gate.status(self.now)

    def holds_still(self, seconds=0.5):
        """Whether the targets, once braked, stay where they are."""
        self.pass_time(0.27)
        position = self.targets[-1].pose.position
        self.pass_time(seconds)
        return self.targets[-1].pose.position == pytest.approx(position, abs=1e-9)


@pytest.fixture
def rig(robot, make_pose):
    return Rig(robot, make_pose())


@pytest.fixture
def make_rig(robot, make_pose):
    return lambda **how: Rig(robot, make_pose(), **how)


# --- going there ---------------------------------------------------------------------------


def test_it_starts_where_the_arm_is_and_stays(rig, make_pose):
    rig.pass_time(0.5)
    for target in rig.targets:
        assert target.pose.position == pytest.approx(make_pose().position)
    assert rig.status().message == "holding: no action yet"


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
    rig.pass_time(3.0)
    assert rig.pose.position[2] == pytest.approx(0.29, abs=1e-3)


def test_a_later_action_takes_over_smoothly(rig, judge):
    rig.send(dy=0.1)
    rig.pass_time(0.3)
    rig.send(dy=-0.1, dx=0.05)
    rig.pass_time(1.5)
    judge(rig.targets)


def test_no_target_is_sent_twice(rig):
    """A timer that catches up ticks faster than targets are due."""
    assert rig.gate.tick(rig.now) is None
    assert rig.gate.tick(rig.now + 0.4 * PERIOD) is None
    assert rig.gate.tick(rig.now + 1.2 * PERIOD) is not None


# --- limits: one test each -----------------------------------------------------------------


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


# --- the gripper ---------------------------------------------------------------------------


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
    rig.gate.gripper_failed("it refused the last goal")
    assert rig.status().message == "gripper: it refused the last goal"
    assert rig.send(dclosedness=1.0) == 0.0
    rig.gate.gripper_taken()
    assert rig.status().level == "ok"


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 50.0])
def test_numbers_that_are_no_action(rig, name, value):
    with pytest.raises(Refused, match=r"NaN|metres|radians|closedness"):
        rig.send(**{name: value})


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"frame": "camera_optical_frame"}, "frame_id is 'camera_optical_frame', expected 'base'"),
        ({"frame": ""}, "frame_id is ''"),
        ({"age": 2.5}, "image is 2.50 s old, limit 2 s"),
        ({"age": -1.0}, "image is -1.00 s old"),
        ({"duration": math.nan}, "duration is nan s, expected 0 to 2 s"),
        ({"duration": -1.0}, "duration is -1 s"),
        ({"duration": 5.0}, "duration is 5 s"),
        ({"sequence": 0}, "sequence 0 after 0"),
        ({"publishers": (PLANNER, b"other")}, "2 nodes publish actions, expected one"),
        ({"publishers": ()}, "0 nodes publish actions"),
    ],
)
def test_what_else_is_refused_and_counted(rig, how, why):
    with pytest.raises(Refused, match=why):
        rig.send(dx=0.05, **how)
    values = rig.status().values
    assert (values["accepted"], values["refused"]) == ("0", "1")
    assert why in values["last refusal"]
    assert rig.holds_still()
    rig.send(dx=0.05)  # and the next good one is carried out


def test_clocks_may_differ_a_little(rig):
    rig.send(dx=0.01, age=-0.9 * CLOCK_TOLERANCE)


def test_a_doubled_action_counts_once(rig):
    rig.send(dx=0.05, sequence=7)
    for late in (7, 6, 1):
        with pytest.raises(Refused, match=f"sequence {late} after 7: a doubled or late action"):
            rig.send(dx=0.05, sequence=late)
    rig.send(dx=0.05, sequence=9)


def test_an_action_from_an_older_image_comes_too_late(rig):
    rig.pass_time(0.5)
    rig.send(dx=0.05, age=0.1)
    with pytest.raises(Refused, match="older than that of the last action"):
        rig.send(dx=0.05, age=0.2)


def test_a_planner_that_was_restarted_counts_from_1_again(rig):
    rig.send(dx=0.05, sequence=1000)
    rig.send(dx=0.05, sequence=1, publishers=(b"planner, born again",))


def test_an_image_from_before_the_arm_was_seen(rig):
    with pytest.raises(Refused, match="pose at its image's time is not known"):
        rig.send(dx=0.05, age=1.0)


# --- when it holds -------------------------------------------------------------------------


def start_moving(rig):
    rig.send(dx=0.12, duration=2.0)
    rig.pass_time(0.5)
    assert not rig.gate.at_rest


def test_silence_of_the_planner(make_rig, judge):
    rig = make_rig(max_command_age=0.5)
    rig.send(dx=0.12, duration=0.5)
    rig.pass_time(0.3)
    rig.send(dx=0.12, duration=0.5)
    rig.pass_time(0.5)
    assert rig.holds_still()
    assert rig.status().message.startswith("holding: no action for 1.")
    judge(rig.targets)


@pytest.mark.parametrize("late", ["silent", "frozen", "delayed"])
def test_the_camera(rig, judge, late):
    start_moving(rig)
    rig.alive.remove("camera")
    stamp = rig.now
    for _ in range(110):
        if late == "frozen":  # the same picture again and again
            rig.gate.observe_image(stamp, rig.now)
        if late == "delayed":  # new pictures, 5 s late
            rig.gate.observe_image(rig.now - 5, rig.now)
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
    sent = len(rig.targets)
    assert np.linalg.norm(rig.targets[-1].velocity) == 0  # braked first
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


def test_an_arm_outside_its_limits_is_left_alone(robot, make_pose):
    rig = Rig(robot, make_pose(z=-0.05, pitch=0.9))
    rig.pass_time(0.5)
    assert not rig.targets
    assert "the tool at (0.500, 0.000, -0.050) m, tilted by 0.90 rad" in rig.status().message
    rig.pose = make_pose(z=0.004)  # noise
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
    rig.send(dx=0.05)
    rig.pass_time(0.1)
    assert not rig.gate.at_rest


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
    rig.pass_time(0.3)
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
    rig.pass_time(0.3)
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


# --- hostile actions -----------------------------------------------------------------------

hostile = st.one_of(
    st.floats(-0.2, 0.2),
    st.floats(-4, 4),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e-320, 0.0]),
)
attacks = st.lists(
    st.tuples(
        st.tuples(*[hostile] * 7),
        st.sampled_from([0.0, 0.3, 1.0, math.nan, -1.0, 1e9]),  # duration
        st.sampled_from([0.0, 0.05, 0.3, 1.9, 60.0, -5.0]),  # age of the image
        st.sampled_from(["base", "base", "base", "", "world"]),
        st.integers(0, 40),  # ticks until the next
        st.sampled_from(["pose", "camera", "", "", ""]),  # fails, or is back
    ),
    min_size=10,
    max_size=40,
)


@settings(max_examples=120, deadline=None)
@given(attacks=attacks)
def test_no_hostile_action_breaks_a_limit(robot, make_pose, judge, attacks):
    rig = Rig(robot, make_pose())
    streams = [rig.targets]
    for numbers, duration, age, frame, ticks, failing in attacks:
        rig.alive ^= {failing} if failing else set()
        try:
            position = rig.send(
                **dict(zip(NUMBERS, numbers, strict=True)), duration=duration, age=age, frame=frame
            )
        except Refused:
            position = None
        assert position is None or 0 <= position <= robot.gripper.max_width / 2
        before = len(rig.targets)
        rig.pass_time(ticks * PERIOD)
        gap = before and len(rig.targets) > before
        if gap and rig.targets[before].stamp - rig.targets[before - 1].stamp > 0.05:
            streams.append(rig.targets[before:])  # it stopped, and started again at the arm
            streams[-2] = streams[-2][: -len(streams[-1])]
            rig.targets = streams[-1]
    for targets in streams:
        judge(targets)
