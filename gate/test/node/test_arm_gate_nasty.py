"""What a lab does to an arm gate without meaning to."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool

from audit import violations
from vjepa_gate.robots import load_robot
from vjepa_gate.ros.spinning import spinning_node
from vjepa_gate.share import config_folder

LIMITS = load_robot("sim").limits


def test_a_flood_of_actions_is_dropped_and_the_stream_goes_on(bench, active_gate, wait_until):
    active_gate()
    bench.send(dx=0.01)
    wait_until(lambda: bench.targets, "targets")
    before, end = len(bench.targets), time.monotonic() + 3.0
    while time.monotonic() < end:
        bench.send(dx=0.001)
        time.sleep(0.001)
    assert len(bench.targets) > before + 20
    wait_until(lambda: int(bench.values()["dropped"]) > 100, "dropped")
    bench.send(dy=0.08, duration=0.8)
    wait_until(lambda: bench.position[1] > 0.07, "there")
    assert violations(*bench.stream(), LIMITS) == []


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x00\x01\x00\x00"])
def test_an_image_of_a_few_bytes_is_no_image(bench, active_gate, wait_until, payload):
    active_gate()
    for _ in range(5):
        bench.images.publish(payload)
        time.sleep(0.05)
    bench.send(dx=0.05)
    bench.wait_until_moving()


def test_a_second_publisher_of_the_measured_pose_stops_it(bench, active_gate):
    active_gate()
    with spinning_node("pose_broadcaster") as other:
        topic = "franka_robot_state_broadcaster/current_pose"
        other.create_publisher(PoseStamped, topic, qos_profile_sensor_data)
        bench.wait_for_status("2 nodes publish the measured pose, expected one: ")
    bench.wait_for_status("holding: no action yet")
    bench.send(dx=0.05)
    bench.wait_until_moving()


def test_contact_stops_it_until_resume(bench, active_gate, tmp_path):
    content = yaml.safe_load((config_folder("vjepa_gate") / "sim.yaml").read_text())
    content["topics"] |= {"external_wrench": {"name": "wrench"}, "collision": {"name": "hit"}}
    content["contact"] = {"max_force": 20.0, "max_torque": 5.0}
    path = tmp_path / "touchy.yaml"
    path.write_text(yaml.safe_dump(content))
    active_gate(robot=str(path))
    wrenches = bench.node.create_publisher(WrenchStamped, "wrench", 1)
    hits = bench.node.create_publisher(Bool, "hit", 1)
    pushed = WrenchStamped()
    pushed.wrench.force.x, pushed.wrench.force.z = 15.0, -20.0
    bench.node.create_timer(0.1, lambda: wrenches.publish(pushed))
    bench.wait_for_status("stopped: the tool was pushed with 25.0 N and 0.0 Nm, limits 20 N")
    pushed.wrench.force.z = 0.0
    time.sleep(0.3)
    assert bench.trigger("resume").success
    bench.wait_for_status("holding: no action yet")
    bench.node.create_timer(0.1, lambda: hits.publish(Bool(data=True)))
    bench.wait_for_status("stopped: the robot detected a collision")


def test_a_reflex_stops_it_until_the_robot_and_the_gate_are_released(bench, active_gate, tmp_path):
    state = pytest.importorskip("franka_msgs.msg").FrankaRobotState(robot_mode=2)
    content = yaml.safe_load((config_folder("vjepa_gate") / "sim.yaml").read_text())
    content["topics"]["franka_state"] = {"name": "robot_state"}
    path = tmp_path / "franka.yaml"
    path.write_text(yaml.safe_dump(content))
    states = bench.node.create_publisher(type(state), "robot_state", 1)

    def tell():
        state.header.stamp = bench.node.get_clock().now().to_msg()
        states.publish(state)

    bench.node.create_timer(0.02, tell)
    active_gate(robot=str(path))
    bench.send(dx=0.12, duration=2.0)
    bench.wait_until_moving()
    state.robot_mode = 4
    bench.wait_for_status("the robot is in mode reflex")
    answer = bench.trigger("resume")
    assert not answer.success
    assert "release it first" in answer.message
    state.robot_mode = 2
    bench.wait_for_status("stopped: the robot was in mode reflex")
    assert bench.trigger("resume").success
    bench.send(dx=0.05)
    bench.wait_until_moving()


class ServedClock:
    """What /clock tells, to a gate in another process that follows it."""

    def __init__(self, bench):
        self.served = True
        self._now = bench.node.get_clock().now
        self._clock = bench.node.create_publisher(Clock, "/clock", 10)
        bench.node.create_timer(0.01, self._serve)

    def _serve(self):
        if self.served:
            self._clock.publish(Clock(clock=self._now().to_msg()))


@contextmanager
def gate_process(bench, *parameters, **environment):
    """An active gate in a process of its own."""
    bench.gate = "gate_process"
    given = ("max_state_age:=1.0", *parameters)
    arguments = ["-r", f"__node:={bench.gate}", *(part for one in given for part in ("-p", one))]
    process = subprocess.Popen(
        [sys.executable, "-m", "vjepa_gate.arm_gate", "--ros-args", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert bench.change_state("configure")
        assert bench.change_state("activate")
        bench.wait_until_ready()
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, "deactivate"])
def test_a_clock_that_is_lost_does_not_keep_it_from_its_last_words(bench, end):
    clock = ServedClock(bench)
    with gate_process(bench, "use_sim_time:=true") as process:
        bench.send(dx=0.12, duration=2.0)
        bench.wait_until_moving()
        clock.served = False
        time.sleep(0.1)
        if end == "deactivate":
            assert bench.change_state(end)
        process.send_signal(signal.SIGTERM if end == "deactivate" else end)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    time.sleep(0.2)
    assert bench.speed(2) < 1e-6


SET_BACK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*given)(clockid_t, struct timespec *);
  if (!given) given = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = given(clock, now);
  if (clock == CLOCK_REALTIME && access(getenv("SET_BACK"), F_OK) == 0) now->tv_sec -= 100;
  return failed;
}
"""


@pytest.fixture
def system_clock(tmp_path):
    """The environment of a process whose system clock is set back by 100 s while a file is there;
    longer than anything here is waited for."""
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(SET_BACK)
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SET_BACK": str(tmp_path / "set_back")}


def test_a_system_clock_that_is_set_back_does_not_silence_it(bench, system_clock):
    with gate_process(bench, **system_clock):
        bench.send(dx=0.12, duration=2.0)
        bench.wait_until_moving()
        Path(system_clock["SET_BACK"]).touch()
        bench.wait_for_status("s ahead of this clock: synchronise the clocks")
        Path(system_clock["SET_BACK"]).unlink()
        bench.wait_until_ready()
        bench.send(dx=-0.05)
        bench.wait_until_moving()


def test_a_log_that_nobody_reads_does_not_keep_it_waiting(bench):
    """As behind a terminal after Ctrl-S: it goes on to tell how it is, and ends when it is told."""
    bench.gate = "gate_process"
    arguments = ["-r", f"__node:={bench.gate}", "--log-level", "debug"]  # which fills any pipe
    process = subprocess.Popen(
        [sys.executable, "-m", "vjepa_gate.arm_gate", "--ros-args", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert bench.change_state("configure")
        assert bench.change_state("activate")
        bench.wait_until_ready()
        bench.send(dx=0.12, duration=2.0)
        bench.wait_until_moving()
        bench.diagnostics.clear()
        bench.wait_for_status("holding: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert len(process.stdout.read()) > 50_000
    finally:
        process.kill()
        process.stdout.close()
    assert bench.speed(2) < 1e-6
