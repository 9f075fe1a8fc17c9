"""The stream alone: it gets there, in time, and no goal at any moment breaks a limit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vjepa_gate.limits import confine, tilt
from vjepa_gate.pose import Pose
from vjepa_gate.rotations import between, from_vector, multiply, z_axis
from vjepa_gate.stream import TargetStream

PERIOD = 0.01


def run(stream, seconds, start=0.0):
    ticks = range(1, round(seconds / PERIOD) + 1)
    return [stream.advance(start + tick * PERIOD) for tick in ticks]


def apart(one, other):
    turn = np.linalg.norm(between(one.rotation, other.rotation))
    return float(np.linalg.norm(one.position - other.position)), float(turn)


def test_it_reaches_its_goal_and_rests(limits, make_pose, judge):
    goal = make_pose(y=0.1, z=0.25, pitch=0.2, yaw=0.3)
    stream = TargetStream(limits, PERIOD, make_pose(), 0.0)
    stream.aim(goal, 0.0)
    targets = run(stream, 2.0)
    judge(targets)
    assert apart(targets[-1].pose, goal) == pytest.approx((0, 0), abs=1e-6)
    assert stream.at_rest


@pytest.mark.parametrize("duration", [0.8, 1.0, 2.0])
def test_it_takes_the_time_that_it_was_given(limits, make_pose, duration):
    goal = make_pose(y=0.1, yaw=0.3)
    stream = TargetStream(limits, PERIOD, make_pose(), 0.0)
    stream.aim(goal, duration)
    targets = run(stream, duration + 0.05)
    still_to_go = [apart(target.pose, goal) for target in targets]
    assert max(still_to_go[round(0.8 * duration / PERIOD)]) > 1e-3
    assert still_to_go[-1] == pytest.approx((0, 0), abs=1e-3)


def test_without_a_duration_it_goes_at_full_speed(limits, make_pose):
    stream = TargetStream(limits, PERIOD, make_pose(y=-0.3), 0.0)
    stream.aim(make_pose(y=0.3), 0.0)
    fastest = max(np.linalg.norm(target.velocity) for target in run(stream, 3.0))
    assert fastest == pytest.approx(limits.speed, rel=1e-6)


def test_holding_brakes_as_the_limits_allow(limits, make_pose, judge):
    stream = TargetStream(limits, PERIOD, make_pose(y=-0.3), 0.0)
    stream.aim(make_pose(y=0.3, yaw=1.0), 0.0)
    moving = run(stream, 0.5)
    stream.hold()
    stopping = run(stream, 0.25 + PERIOD, start=0.5)
    judge(moving + stopping)
    assert stream.at_rest
    assert apart(stopping[-1].pose, moving[-1].pose)[0] > 0.01  # it braked and did not jump


def test_it_does_not_slide_through_a_wall(limits, make_pose, judge):
    """At full speed, just before it must brake, the goal moves along the wall: braking and
    turning off at once would take more room than there is."""
    wall = limits.workspace_high[1]
    stream = TargetStream(limits, PERIOD, make_pose(y=wall - 0.3), 0.0)
    stream.aim(make_pose(y=wall), 0.0)
    targets = run(stream, PERIOD)
    while wall - targets[-1].pose.position[1] > 0.036:
        targets += run(stream, PERIOD, start=targets[-1].stamp)
    assert targets[-1].velocity[1] == pytest.approx(limits.speed)
    stream.aim(make_pose(x=0.7, y=wall), 0.0)
    targets += run(stream, 3.0, start=targets[-1].stamp)
    judge(targets)
    assert targets[-1].pose.position == pytest.approx((0.7, wall, 0.3), abs=1e-6)


def test_a_late_caller_skips_targets_and_keeps_the_limits(limits, make_pose, judge):
    stream = TargetStream(limits, PERIOD, make_pose(), 0.0)
    stream.aim(make_pose(y=0.2), 0.0)
    targets = [stream.advance(now) for now in (0.01, 0.02, 0.04, 0.05, 0.07, 0.09)]
    judge(targets)
    assert [target.stamp for target in targets] == pytest.approx(
        [0.01, 0.02, 0.04, 0.05, 0.07, 0.09]
    )


@pytest.mark.parametrize("stall", [0.03, 0.08, 0.099])
def test_what_a_stall_missed_is_not_made_good_in_one_step(limits, make_pose, judge, stall):
    """An arm that has stood still meanwhile would be pulled over all of it at once."""
    stream = TargetStream(limits, PERIOD, make_pose(y=-0.3), 0.0)
    stream.aim(make_pose(y=0.3), 0.0)
    targets = run(stream, 0.6)
    targets.append(stream.advance(0.6 + stall))
    step = targets[-1].pose.position - targets[-2].pose.position
    assert np.linalg.norm(step) == pytest.approx(2 * limits.speed * PERIOD)
    assert targets[-1].stamp == pytest.approx(0.6 + stall)
    judge(targets + run(stream, 0.5, start=0.6 + stall))


@pytest.mark.parametrize("jump", [1.0, -1.0])
def test_after_a_stall_it_starts_from_rest(limits, make_pose, jump):
    """The controller has held the last target, so the arm stands there."""
    stream = TargetStream(limits, PERIOD, make_pose(), 0.0)
    stream.aim(make_pose(y=0.3), 0.0)
    before = run(stream, 0.5)[-1]
    after = stream.advance(0.5 + jump)
    assert apart(before.pose, after.pose) == pytest.approx((0, 0), abs=1e-12)
    assert np.linalg.norm(stream.advance(0.51 + jump).velocity) <= limits.acceleration * PERIOD


def test_a_stream_of_velocities_brings_a_slow_arm_to_the_goal(limits, make_pose):
    """Servo: an arm that follows 50 ms late, whose measured pose closes the loop."""
    goal = make_pose(y=0.15, yaw=0.3)
    stream = TargetStream(limits, PERIOD, make_pose(), 0.0, settle=0.25)
    stream.aim(goal, 1.0)
    poses, rates = [make_pose()] * 6, []
    for tick in range(1, 400):
        stream.correct(poses[-6], poses[-1])
        target = stream.advance(tick * PERIOD)
        rates.append(np.linalg.norm(target.velocity))
        moved = poses[-1].position + target.velocity * PERIOD
        turn = from_vector(target.turn_velocity * PERIOD)
        poses.append(Pose(moved, multiply(turn, poses[-1].rotation)))
    assert apart(poses[-1], goal) == pytest.approx((0, 0), abs=2e-3)
    assert max(pose.position[1] for pose in poses) < 0.155
    assert np.abs(np.diff([0, *rates])).max() <= limits.acceleration * PERIOD + 1e-9


def test_an_arm_that_was_pushed_outside_may_come_back(limits, make_pose):
    stream = TargetStream(limits, PERIOD, make_pose(), 0.0, settle=0.25)
    outside = make_pose(y=limits.workspace_high[1] + 0.05, roll=math.pi - limits.max_tilt - 0.1)
    stream.correct(outside, outside)
    stream.aim(make_pose(), 0.0)
    target = run(stream, 0.05)[-1]
    assert target.velocity[1] < 0
    assert tilt(z_axis(target.pose.rotation)) < tilt(z_axis(outside.rotation))


numbers = st.floats(-4, 4)
goals = st.tuples(numbers, numbers, numbers, *[st.floats(-math.pi, math.pi)] * 3)
events = st.lists(
    st.tuples(goals, st.floats(0, 2), st.integers(1, 60), st.booleans()), min_size=1, max_size=12
)


@settings(max_examples=80, deadline=None)
@given(events=events)
def test_no_goal_at_any_moment_breaks_a_limit(limits, make_pose, judge, events):
    stream = TargetStream(limits, PERIOD, make_pose(), 0.0)
    targets, now = [], 0.0
    for goal, duration, ticks, hold in events:
        stream.aim(confine(make_pose(*goal), limits), duration)
        if hold:
            stream.hold()
        targets += run(stream, ticks * PERIOD, start=now)
        now += ticks * PERIOD
    judge(targets)
    # From any state it comes to rest within the promised time.
    stream.hold()
    judge([*targets[-2:], *run(stream, 0.25 + PERIOD, start=now)])
    assert stream.at_rest


@settings(max_examples=15, deadline=None)
@given(goal=goals, first=goals)
def test_it_always_arrives(limits, make_pose, first, goal):
    stream = TargetStream(limits, PERIOD, make_pose(), 0.0)
    stream.aim(confine(make_pose(*first), limits), 0.0)
    run(stream, 0.4)
    goal = confine(make_pose(*goal), limits)
    stream.aim(goal, 0.0)
    end = run(stream, 6.0, start=0.4)[-1]
    assert end.pose.position == pytest.approx(goal.position, abs=1e-6)
