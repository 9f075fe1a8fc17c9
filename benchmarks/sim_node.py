"""How fast the simulated robot's node is, seen from a second process.

    python benchmarks/sim_node.py

Real time: the rates that arrive of those that were asked for, and the time from the stamp of
a message to its arrival (for a picture that includes drawing it), and the share of a core that
the node takes. Lock-step: how much faster than real time it steps, with a picture for each
control step. Both need an idle machine.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(
    Path(__file__).parents[1] / "config" / "fastdds.xml"
)

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from vjepa_msgs.srv import StepSim

from vjepa_gate.ros.spinning import spinning_node, wait_for

STATE_RATE, CAMERA_RATE = 100.0, 15.0  # Hz
PERIOD = 0.25  # seconds of a control step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    seconds = parser.parse_args().seconds
    for size in (128, 256):
        real_time(size, seconds)
    for size in (128, 256):
        lockstep(size, seconds)


def real_time(size: int, seconds: float) -> None:
    rates = {"state_rate": STATE_RATE, "camera_rate": CAMERA_RATE}
    with robot(mode="real", size=size, **rates) as pid, spinning_node("benchmark") as node:
        states = listen(node, PoseStamped, "franka_robot_state_broadcaster/current_pose")
        pictures = listen(node, Image, "camera/image_raw")
        while len(pictures) < 5:  # found each other, and warm
            time.sleep(0.05)
        for arrivals in (states, pictures):
            arrivals.clear()
        before = cpu_seconds(pid)
        time.sleep(seconds)
        load = (cpu_seconds(pid) - before) / seconds
        for name, asked, arrivals in (
            ("states", STATE_RATE, states),
            ("pictures", CAMERA_RATE, pictures),
        ):
            latency = 1e3 * np.array(arrivals)
            print(
                f"real time, {size}×{size}: {name} at {len(latency) / seconds:5.1f} of "
                f"{asked:g} Hz, after {np.median(latency):4.1f} ms "
                f"(95 %: {np.quantile(latency, 0.95):.1f} ms)",
                flush=True,
            )
        print(f"real time, {size}×{size}: {100 * load:.0f} % of a core", flush=True)


def lockstep(size: int, seconds: float) -> None:
    with (
        robot(mode="lockstep", size=size, camera_rate=1 / PERIOD),
        spinning_node("benchmark") as node,
    ):
        listen(node, Image, "camera/image_raw")  # nobody draws what nobody sees
        client = node.create_client(StepSim, "sim/step")
        client.wait_for_service()
        steps, start = 0, time.monotonic()
        while time.monotonic() - start < seconds:
            wait_for(client.call_async(StepSim.Request(seconds=PERIOD)), timeout=10)
            steps += 1
        rate = steps / (time.monotonic() - start)
    print(
        f"lock-step, {size}×{size}: {rate:.1f} control steps of {PERIOD:g} s a second, "
        f"{rate * PERIOD:.1f} times real time",
        flush=True,
    )


@contextmanager
def robot(size: int, **parameters: object) -> Iterator[int]:
    """The node in a process of its own; its pid."""
    given = {**parameters, "image_width": size, "image_height": size}
    options = [part for name, value in given.items() for part in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-m", "vjepa_sim.node", "--ros-args", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listen(node: Node, kind: type, topic: str) -> list[float]:
    """A list that grows by the age in seconds of each message at its arrival."""
    ages: list[float] = []

    def note(message: PoseStamped | Image) -> None:
        stamp = message.header.stamp
        ages.append(time.time() - stamp.sec - 1e-9 * stamp.nanosec)

    node.create_subscription(kind, topic, note, qos_profile_sensor_data)
    return ages


if __name__ == "__main__":
    main()
