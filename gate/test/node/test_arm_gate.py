"""The arm gate as a node: real topics, services, actions and signals."""

import itertools
import math
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Bool
from vjepa_msgs.msg import EndEffectorDelta

from audit import violations
from vjepa_gate.robots import load_robot
from vjepa_gate.ros.spinning import spinning_node
from vjepa_gate.share import config_folder

LIMITS = load_robot("sim").limits


@pytest.fixture
def gate(active_gate):
    return active_gate()


# --- moving --------------------------------------------------------------------------------


def test_an_action_becomes_a_smooth_stream(bench, gate, wait_until):
    bench.send(dx=0.02, dy=0.08, duration=0.8)
    bench.wait_for_status("at the goal")
    bench.wait_until_still()
    stamps, positions, turns = bench.stream()
    assert positions[-1] == pytest.approx((0.52, 0.08, 0.3), abs=1e-3)
    assert np.diff(stamps).min() == pytest.approx(0.01, abs=1e-6)  # 100 Hz, on a free machine
    assert violations(stamps, positions, turns, LIMITS) == []
    assert {target.header.frame_id for target in bench.targets} == {"base"}


def test_the_gripper_is_sent_goals_that_differ(bench, gate, wait_until):
    bench.send(dclosedness=1.0)
    wait_until(lambda: len(bench.gripper_goals) == 1, "a gripper goal")
    bench.send(dclosedness=1.0)
    bench.send(dclosedness=0.01)
    bench.send(dclosedness=0.5)
    wait_until(lambda: len(bench.gripper_goals) == 2, "the second goal")
    goals = [(goal.position, goal.max_effort) for goal in bench.gripper_goals]
    assert goals == [(0.0, 40.0), (pytest.approx(0.02), 40.0)]


def test_a_gripper_that_refuses_is_told(bench, gate, wait_until):
    bench.gripper_accepts = False
    bench.send(dclosedness=1.0)
    bench.wait_for_status("gripper: closing was refused")
    bench.gripper_accepts = True
    bench.send(dclosedness=1.0)
    wait_until(lambda: bench.gripper_goals, "the goal again")


def test_a_dry_run_commands_nothing(bench, active_gate, wait_until):
    active_gate(dry_run=True)
    bench.send(dx=0.05, dclosedness=1.0)
    bench.wait_for_status("dry run: ")
    wait_until(lambda: bench.shadows and bench.shadows[-1].pose.position.x > 0.54, "shadow moving")
    assert not bench.targets
    assert not bench.gripper_goals
    assert bench.node.count_publishers("target_pose") == 0


def test_twists_for_servo(bench, active_gate, tmp_path, wait_until):
    content = yaml.safe_load((config_folder("vjepa_gate") / "sim.yaml").read_text())
    content["command"] = "twist"
    content["topics"]["target"]["name"] = "target_twist"
    path = tmp_path / "servo.yaml"
    path.write_text(yaml.safe_dump(content))
    active_gate(robot=str(path))

    def follow():  # the arm goes on with the newest velocity
        if bench.twists:
            linear = bench.twists[-1].twist.linear
            step = (0.02 * linear.x, 0.02 * linear.y, 0.02 * linear.z)
            bench.position = [p + d for p, d in zip(bench.position, step, strict=True)]

    bench.node.create_timer(0.02, follow)
    bench.send(dy=0.05)
    wait_until(lambda: abs(bench.position[1] - 0.05) < 3e-3, "there", lambda: bench.position)
    speeds = [np.linalg.norm((t.twist.linear.x, t.twist.linear.y)) for t in bench.twists]
    assert max(speeds) <= LIMITS.speed
    assert bench.twists[-1].header.frame_id == "base"


# --- refusing and holding ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"frame": "camera"}, "frame_id is 'camera'"),
        ({"dx": math.nan}, "NaN"),
        ({"sequence": 0}, "doubled or late"),
        ({"duration": math.inf}, "duration is inf"),
    ],
)
def test_what_is_refused_is_told(bench, gate, wait_until, wrong, why):
    bench.send(**{"dx": 0.05} | wrong)
    wait_until(lambda: why in bench.values()["last refusal"], why, lambda: bench.values())
    assert bench.position[0] == pytest.approx(0.5, abs=1e-6)
    assert bench.values()["accepted"] == "0"


def test_an_old_image_is_refused(bench, gate, wait_until):
    stamp = bench.node.get_clock().now().to_msg()
    stamp.sec -= 5
    bench.send(dx=0.05, image_stamp=stamp)
    wait_until(lambda: "s old, limit 2 s" in bench.values()["last refusal"], "refused")
    assert bench.position[0] == pytest.approx(0.5, abs=1e-6)


def test_while_there_are_two_planners_neither_moves_the_arm(bench, gate, wait_until):
    with spinning_node("another_planner") as other:
        intruder = other.create_publisher(EndEffectorDelta, "ee_delta", 10)
        wait_until(lambda: bench.node.count_publishers("ee_delta") == 2, "two")
        why = "2 nodes publish actions"
        wait_until(lambda: _sends_and_reads(bench, intruder, why), "refused the intruder")
        bench.wait_for_status(f"holding: {why}")
        bench.send(dx=0.05)
        time.sleep(0.3)
        assert bench.position[0] == pytest.approx(0.5, abs=1e-6)
    wait_until(lambda: bench.node.count_publishers("ee_delta") == 1, "one")
    bench.wait_until_ready()
    bench.send(dx=0.05)
    bench.wait_until_moving()


def _sends_and_reads(bench, publisher, why):
    bench.send(publisher=publisher, dx=0.05)
    return why in bench.values()["last refusal"]


def test_another_publisher_of_targets_silences_the_gate(bench, gate, wait_until):
    with spinning_node("teleop") as other:
        other.create_publisher(PoseStamped, "target_pose", 1)
        bench.wait_for_status("stopped: others send targets too: /teleop")
    bench.wait_for_status("holding: no action yet")


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("camera", "holding: newest camera image is"),
        ("fingers", "holding: newest finger position is"),
        ("pose", "stopped: newest measured pose is"),
    ],
)
def test_what_stops_arriving_stops_the_arm(bench, gate, lost, told):
    bench.send(dx=0.12, duration=2.0)
    bench.wait_until_moving()
    bench.alive.remove(lost)
    bench.wait_for_status(told)
    bench.wait_until_still()
    assert violations(*bench.stream(), LIMITS) == []
    bench.alive.add(lost)
    bench.wait_until_ready()
    bench.send(dy=0.12, duration=1.0)
    bench.wait_until_moving()


def test_a_camera_that_is_frozen_with_new_stamps_stops_the_arm(bench, gate):
    bench.alive.add("frozen")
    bench.send(dx=0.12, duration=2.0)
    bench.wait_for_status("holding: the camera image has not changed while the tool moved")
    bench.wait_until_still()
    assert bench.position[0] < 0.6
    bench.alive.remove("frozen")
    bench.wait_for_status("holding: waiting for the next action")
    bench.send(dx=-0.1, duration=1.0)
    bench.wait_until_moving()


def test_the_deadman(bench, start_gate, wait_until):
    start_gate(deadman=True)
    assert bench.change_state("configure")
    assert bench.change_state("activate")
    bench.wait_for_status("holding: no deadman signal yet")
    publisher = bench.node.create_publisher(Bool, "deadman", 1)
    pressed = [True]
    bench.node.create_timer(0.05, lambda: publisher.publish(Bool(data=pressed[0])))
    bench.wait_for_status("holding: no action yet")
    bench.send(dx=0.12, duration=2.0)
    bench.wait_until_moving()
    pressed[0] = False
    bench.wait_for_status("holding: the deadman is released")
    bench.wait_until_still()


def test_stop_resume_and_hold(bench, gate):
    bench.send(dx=0.12, duration=2.0)
    bench.wait_until_moving()
    assert bench.trigger("stop").success
    bench.wait_until_still()
    bench.wait_for_status("stopped: stopped by request")
    bench.send(dx=0.05)
    assert bench.trigger("resume").success
    bench.send(dy=0.12, duration=2.0)
    bench.wait_until_moving()
    assert bench.trigger("hold").success
    bench.wait_until_still()
    assert violations(*bench.stream(), LIMITS) == []


def test_a_few_hundred_hostile_actions(bench, gate):
    chance = random.Random(0)
    numbers = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "dclosedness")
    spoilt = (math.nan, math.inf, -1e300, 3.0, -0.5, 0.13)
    for _ in range(400):
        action = {name: chance.uniform(-0.15, 0.15) for name in numbers}
        if chance.random() < 0.3:
            action[chance.choice(numbers)] = chance.choice(spoilt)
        if chance.random() < 0.1:
            action["sequence"] = chance.choice((0, 1, 2**64 - 1 - bench.sequence))
        frame = chance.choice(("base", "base", "base", "world", ""))
        duration = chance.choice((0.0, 0.1, 0.5, 2.0, math.nan, -1.0))
        bench.send(frame=frame, duration=duration, **action)
        time.sleep(chance.choice((0.0, 0.005, 0.03)))
    bench.wait_until_still()
    assert violations(*bench.stream(), LIMITS) == []
    assert int(bench.values()["refused"]) > 50
    for goal in bench.gripper_goals:
        assert 0 <= goal.position <= 0.04
        assert goal.max_effort == 40.0


# --- lifecycle and parameters --------------------------------------------------------------


def test_deactivating_in_mid_motion_brings_the_arm_to_rest(bench, gate, wait_until):
    bench.send(dx=0.12, duration=1.0)
    bench.wait_until_moving()
    assert bench.change_state("deactivate")
    time.sleep(0.2)
    sent = len(bench.targets)
    assert violations(*bench.stream(), LIMITS) == []
    assert bench.speed(2) < 1e-6
    bench.wait_for_status("not active")
    assert len(bench.targets) == sent
    assert bench.change_state("activate")
    bench.wait_until_ready()
    bench.send(dy=0.12, duration=1.0)
    bench.wait_until_moving()
    assert bench.change_state("deactivate")
    assert bench.change_state("cleanup")
    wait_until(lambda: bench.node.count_publishers("target_pose") == 0, "gone")
    assert bench.change_state("configure")


def test_a_wrong_robot_file_fails_to_configure_and_can_be_mended(bench, start_gate):
    start_gate(robot="ur5")
    assert not bench.change_state("configure")
    assert not bench.set("arm_gate", robot="sim")
    assert bench.change_state("configure")


def test_parameters_are_refused_with_their_range(bench, start_gate):
    start_gate()
    assert "Min: 50.0, Max: 1000.0, value: 10.0" in bench.set("arm_gate", rate=10.0)
    assert not bench.set("arm_gate", rate=200.0)
    assert bench.change_state("configure")
    assert "rate is read by configure" in bench.set("arm_gate", rate=200.0)


# --- as a process --------------------------------------------------------------------------


def start_process(*arguments):
    command = [sys.executable, "-m", "vjepa_gate.arm_gate", "--ros-args", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_mid_motion_brings_the_arm_to_rest_and_ends_with_0(bench, number):
    bench.gate = "gate_process"  # a lifecycle node of an earlier test may still be seen
    process = start_process("-r", f"__node:={bench.gate}")
    try:
        assert bench.change_state("configure")
        assert bench.change_state("activate")
        bench.wait_until_ready()
        bench.send(dx=0.12, duration=2.0)
        bench.wait_until_moving()
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    stamps, positions, turns = bench.stream()
    assert violations(stamps, positions, turns, LIMITS) == []
    assert bench.speed(2) < 1e-6


@pytest.mark.parametrize(
    ("parameter", "why"),
    [
        ("max_image_age:=5000.0", "max_image_age is 5000.0, expected a number in [0.05, 3600] s"),
        ("deadman:=perhaps", "deadman is 'perhaps', expected true or false"),
        ("deadmann:=true", "deadmann is unknown, expected deadman"),
    ],
)
def test_a_bad_parameter_ends_it_with_one_line_and_2(parameter, why):
    process = start_process("-p", parameter)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors == f"arm_gate: parameter {why}\n"


PLANNER = """
import time
import rclpy
from vjepa_msgs.msg import EndEffectorDelta
rclpy.init()
node = rclpy.create_node("planner")
publisher = node.create_publisher(EndEffectorDelta, "ee_delta", 10)
for sequence in range(1, 10**6):
    stamp = node.get_clock().now().to_msg()
    delta = EndEffectorDelta(image_stamp=stamp, sequence=sequence, dx=0.12, duration=0.3)
    delta.header.frame_id = "base"
    publisher.publish(delta)
    print(stamp.sec + 1e-9 * stamp.nanosec, flush=True)
    time.sleep(0.1)
"""


def test_the_arm_holds_when_the_planner_is_killed_in_mid_motion(bench, active_gate, wait_until):
    age_limit = 0.4
    bench.node.destroy_publisher(bench.deltas)
    active_gate(max_command_age=age_limit)
    bench.follows = False  # so that it is on its way all the time
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    planner = subprocess.Popen(
        [sys.executable, "-c", PLANNER], stdout=subprocess.PIPE, text=True, env=environment
    )
    bench.position = [0.3, 0.0, 0.3]
    bench.wait_until_moving()
    planner.send_signal(signal.SIGKILL)
    output, _ = planner.communicate()
    last_sent = float(output.splitlines()[-1])
    bench.wait_until_still()
    stamps, positions, turns = bench.stream()
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    stopped = stamps[1:][steps > 1e-6].max()
    assert stopped - last_sent < age_limit + 0.3
    assert violations(stamps, positions, turns, LIMITS) == []
    bench.wait_for_status("holding: no action for")
    assert all(late > early for early, late in itertools.pairwise(stamps))
