"""What robot fr3 costs at 1 kHz, and what it costs in Python to listen to it.

    python benchmarks/twin.py

In shares of a core, each over some seconds of real time: the twin's process while nobody, then
somebody listens, with and without its camera; and a second process that hears each of its fast
topics, as messages and as bytes; and the arm gate, which hears pose and state, and moves the arm.
Needs an idle machine: what the twin has no time for does not come.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from franka_msgs.msg import FrankaRobotState
from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from sim_node import cpu_seconds, robot  # sets the environment of DDS
from vjepa_msgs.msg import EndEffectorDelta

from vjepa_gate.ros.spinning import spinning_node

STATES = "franka_robot_state_broadcaster"
STATE = f"{STATES}/robot_state"
LISTENERS = (
    ("nobody listens", None, "", False),
    ("robot_state, as bytes", FrankaRobotState, STATE, True),
    ("robot_state", FrankaRobotState, STATE, False),
    ("current_pose", PoseStamped, f"{STATES}/current_pose", False),
    ("external wrench", WrenchStamped, f"{STATES}/external_wrench_in_base_frame", False),
    ("pictures", Image, "camera/camera/color/image_raw", False),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    seconds = parser.parse_args().seconds
    print("heard                      messages/s    twin  listener: share of a core, ms a message")
    with robot(size=256, robot="fr3", mode="real") as pid:
        for name, kind, topic, raw in LISTENERS:
            with spinning_node("listener") as node:
                print(f"{name:26}" + measure(pid, seconds, subscribe(node, kind, topic, raw)))
        print(f"the arm gate, that moves it: {gate_share('franka_crisp', seconds)}")
    with robot(size=256, mode="real"):
        print(f"the arm gate, at robot sim's 100 Hz: {gate_share('sim', seconds)}")


def gate_share(robot_file: str, seconds: float) -> str:
    with arm_gate(robot_file) as pid:
        before = cpu_seconds(pid)
        time.sleep(seconds)
        return f"{100 * (cpu_seconds(pid) - before) / seconds:.1f} % of a core"


def subscribe(node: Node, kind: type | None, topic: str, raw: bool) -> Callable[[], int]:
    """Start to listen; returns how many messages have come."""
    count = 0

    def note(_: object) -> None:
        nonlocal count
        count += 1

    if kind is not None:
        node.create_subscription(kind, topic, note, qos_profile_sensor_data, raw=raw)
    return lambda: count


@contextmanager
def arm_gate(robot_file: str) -> Iterator[int]:
    """Its process id, once it carries out an action every 0.4 s."""
    options = (f"robot:={robot_file}", "max_state_age:=2.0", "max_camera_age:=5.0")
    parameters = [part for option in options for part in ("-p", option)]
    program = [sys.executable, "-m", "vjepa_gate.arm_gate", "--autostart"]
    command = [*program, "--ros-args", *parameters]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with spinning_node("planner") as node:
        deltas, sequence = node.create_publisher(EndEffectorDelta, "ee_delta", 10), 0

        def act() -> None:
            nonlocal sequence
            sequence += 1
            stamp = node.get_clock().now().to_msg()
            dx = 0.02 if sequence % 2 else -0.02
            delta = EndEffectorDelta(image_stamp=stamp, sequence=sequence, duration=0.3, dx=dx)
            delta.header.stamp, delta.header.frame_id = stamp, "base"
            deltas.publish(delta)

        node.create_timer(0.4, act)
        time.sleep(5)  # found each other
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait()


def measure(pid: int, seconds: float, heard: Callable[[], int]) -> str:
    time.sleep(3)  # found each other
    before = cpu_seconds(pid), time.process_time(), heard()
    time.sleep(seconds)
    twin, listener = cpu_seconds(pid) - before[0], time.process_time() - before[1]
    count = heard() - before[2]
    each = f"{1e3 * listener / count:.2f}" if count else "-"
    shares = f"{100 * twin / seconds:4.0f} %  {100 * listener / seconds:8.0f} %"
    return f" {count / seconds:10.0f}  {shares}  {each:>6}"


if __name__ == "__main__":
    main()
